"use strict";
// The page can be read without this. It filters and sorts tables, opens what a link points at, and prints all.
(function () {
  const $$ = (selector, root = document) => Array.from(root.querySelectorAll(selector));

  const form = document.getElementById("filters");
  if (form) {
    const rows = $$("#rows > tr").map((row) => ({
      row,
      text: `${row.textContent} ${row.querySelector("a").title}`.toLowerCase(),
    }));
    const shown = document.getElementById("shown");
    const filter = () => {
      const words = form.elements.text.value.toLowerCase().split(/\s+/).filter(Boolean);
      const chosen = ["outcome", "capability", "model"]
        .map((name) => [name, form.elements[name] ? form.elements[name].value : ""])
        .filter(([, value]) => value !== "");
      let count = 0;
      for (const { row, text } of rows) {
        const fits =
          words.every((word) => text.includes(word)) && chosen.every(([name, value]) => row.dataset[name] === value);
        row.hidden = !fits;
        count += fits;
      }
      shown.textContent = `${count} of ${rows.length} shown`;
    };
    form.addEventListener("input", filter);
    form.querySelector("button").addEventListener("click", () => {
      form.reset();
      filter();
    });
    form.addEventListener("submit", (event) => event.preventDefault());
    form.hidden = false;
    filter(); // a browser keeps what was chosen before a reload
  }

  // What a cell is sorted by: its rank, the number that it begins with, or its text. Without a value it comes last.
  const key = (cell, numeric) => {
    if (cell.dataset.rank !== undefined) return Number(cell.dataset.rank);
    const text = cell.textContent.trim();
    if (!numeric) return text.toLowerCase();
    const found = text.replace(/,/g, "").match(/[-+]?\d+(\.\d+)?/);
    return found ? Number(found[0]) : null;
  };
  const order = (a, b) => (typeof a === "string" && typeof b === "string" ? a.localeCompare(b) : a < b ? -1 : Number(a > b));
  const sort = (table, head) => {
    const column = head.cellIndex;
    const sign = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
    const numeric = head.classList.contains("n");
    const body = table.tBodies[0];
    const keyed = Array.from(body.rows).map((row) => [key(row.cells[column], numeric), row]);
    keyed.sort(([a], [b]) => (a === null || b === null ? (a === null) - (b === null) : sign * order(a, b)));
    body.append(...keyed.map(([, row]) => row));
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", sign > 0 ? "ascending" : "descending");
  };
  for (const table of $$("table.sortable")) {
    for (const head of $$("thead th:not(.fixed)", table)) {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      button.addEventListener("click", () => sort(table, head));
      head.append(button);
    }
  }

  // Browsers that do not open what a link points at by themselves.
  const open = () => {
    const target = document.getElementById(location.hash.slice(1));
    for (let one = target && target.closest("details"); one; one = one.parentElement.closest("details")) one.open = true;
    if (target && target.id.startsWith("test-")) {
      target.scrollIntoView();
      target.focus({ preventScroll: true });
    }
  };
  addEventListener("hashchange", open);
  if (location.hash) open();

  let closed = [];
  addEventListener("beforeprint", () => {
    closed = $$("details:not([open])");
    for (const one of closed) one.open = true;
  });
  addEventListener("afterprint", () => {
    for (const one of closed) one.open = false;
  });
})();
