"use strict";
(() => {
  const root = document.documentElement;
  const dark = () => (root.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";

  const theme = document.querySelector(".theme");
  const name = () => { theme.textContent = dark() ? "Light theme" : "Dark theme"; };
  theme.hidden = false;
  theme.addEventListener("click", () => { root.dataset.theme = dark() ? "light" : "dark"; name(); });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", name);
  name();

  // A select shows what has its value, and all where it has none.
  for (const select of document.querySelectorAll("select[data-choose]")) {
    const key = select.dataset.choose, section = select.closest("section");
    const choose = () => {
      for (const part of section.querySelectorAll(`[data-${key}]`)) part.hidden = select.value !== "" && part.dataset[key] !== select.value;
      if (key === "population") section.classList.toggle("alone", select.value !== "");
    };
    select.addEventListener("change", choose);
    choose();
  }

  // A head sorts by its column: figures from the largest down first, text from the beginning, and what has no figure last.
  const value = (row, column) => {
    const cell = row.cells[column];
    if (cell.dataset.value !== undefined) return Number(cell.dataset.value);
    const text = cell.textContent.trim();
    return text === "" || text === "-" ? null : isNaN(text) ? text : Number(text);
  };
  for (const table of document.querySelectorAll("table.sortable")) {
    const heads = [...table.tHead.rows[0].cells], body = table.tBodies[0];
    heads.forEach((head, column) => head.querySelector("button").addEventListener("click", () => {
      const before = head.getAttribute("aria-sort"), rows = [...body.rows];
      const text = rows.some((row) => typeof value(row, column) === "string");
      const up = before ? before === "descending" : text || column === 0;
      heads.forEach((each) => each.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      rows.sort((one, two) => {
        const a = value(one, column), b = value(two, column);
        if (a === null || b === null) return (a === null) - (b === null);
        const order = typeof a === "string" || typeof b === "string" ? String(a).localeCompare(String(b), "en", { numeric: true }) : a - b;
        return up ? order : -order;
      });
      body.append(...rows);
    }));
  }
})();
