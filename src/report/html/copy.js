"use strict";
(() => {
  const copy = async (text) => {
    if (navigator.clipboard) return navigator.clipboard.writeText(text);
    const field = document.createElement("textarea");
    field.value = text;
    document.body.append(field);
    field.select();
    const done = document.execCommand("copy");
    field.remove();
    if (!done) throw new Error("refused");
  };
  for (const button of document.querySelectorAll("[data-copy]")) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      const said = await copy(button.closest(".copy").querySelector("pre").textContent).then(() => "Copied", () => "Select it and copy");
      button.textContent = said;
      setTimeout(() => { button.textContent = "Copy"; }, 2000);
    });
  }
})();
