"use strict";
(() => {
  // A pointer over one chart over time reads all of them at that second; arrow keys do the same.
  const table = document.getElementById("seconds");
  if (!table) return;
  const every = Number(table.dataset.every);
  const heads = [...table.querySelectorAll("thead th")].map((cell) => cell.textContent);
  const rows = [...table.querySelectorAll("tbody tr")];
  const figures = [...document.querySelectorAll("figure[data-columns]")];
  const plots = [...document.querySelectorAll("g.plot")];
  let at = -1;
  const show = (row) => {
    at = row;
    const cells = row < 0 ? [] : [...rows[row].children].map((cell) => cell.textContent);
    for (const plot of plots) {
      const cross = plot.querySelector(".cross");
      cross.setAttribute("visibility", row < 0 ? "hidden" : "visible");
      const { left, right, seconds } = plot.dataset;
      const share = Math.min(1, ((row + 0.5) * every) / seconds);
      cross.setAttribute("transform", "translate(" + (Number(left) + share * (right - left)) + ")");
    }
    for (const figure of figures) {
      const out = figure.querySelector(".readout");
      const columns = figure.dataset.columns.split(" ").filter((column) => cells[column]);
      const told = columns.map((column) => {
        const [name, unit] = heads[column].split(", ");
        return name + " " + cells[column] + (unit ? " " + unit : "");
      });
      out.value = row < 0 ? "" : cells.slice(0, 2).filter(Boolean).join(" ") + ": " + told.join("; ");
    }
  };
  for (const figure of figures) {
    figure.tabIndex = 0;
    for (const svg of figure.querySelectorAll("svg.chart")) {
      const { left, right, seconds } = svg.querySelector("g.plot").dataset;
      svg.addEventListener("pointermove", (event) => {
        const box = svg.getBoundingClientRect();
        const x = ((event.clientX - box.left) / box.width) * svg.viewBox.baseVal.width;
        const time = ((x - left) / (right - left)) * seconds;
        const row = Math.floor(time / every);
        show(x < left || x > right || row >= rows.length ? -1 : row);
      });
      svg.addEventListener("pointerleave", () => show(-1));
    }
    figure.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (event.key === "Escape") show(-1);
      if (!step) return;
      event.preventDefault();
      show(Math.max(0, Math.min(rows.length - 1, at + step)));
    });
    figure.addEventListener("blur", () => show(-1));
  }
})();
