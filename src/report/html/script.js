"use strict";
(() => {
  const box = document.getElementById("search");
  const told = document.getElementById("found");
  const items = [...document.querySelectorAll("[data-item]")];
  const groups = [...document.querySelectorAll("[data-group]")];
  const opened = new Map(groups.map((group) => [group, group.open]));
  const texts = new Map(items.map((item) => [item, item.textContent.toLowerCase()]));
  const search = () => {
    const words = box.value.toLowerCase().split(/\s+/).filter(Boolean);
    let found = 0;
    for (const item of items) {
      const hit = words.every((word) => texts.get(item).includes(word));
      item.hidden = !hit;
      found += hit ? 1 : 0;
    }
    for (const group of groups) {
      const any = group.querySelector("[data-item]:not([hidden])") !== null;
      group.hidden = words.length > 0 && !any;
      if (group.tagName === "DETAILS") group.open = words.length > 0 ? any : opened.get(group);
    }
    told.value = words.length > 0 ? found + " of " + items.length : "";
  };
  box.addEventListener("input", search);
  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && document.activeElement !== box) {
      event.preventDefault();
      box.focus();
    } else if (event.key === "Escape" && document.activeElement === box) {
      box.value = "";
      search();
    }
  });
})();
