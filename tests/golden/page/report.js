"use strict";
// Columns that can be sorted, and everything open on paper. Without this script the page still says all it has to say.
const numberIn = (text) => {
  const found = text.replace(/\u2212/g, "-").replace(/(\d),(?=\d{3})/g, "$1").match(/[-+]?\d+(\.\d+)?(e[-+]?\d+)?/i);
  return found ? Number(found[0]) : null;
};
const compareCells = (left, right, numeric) => {
  if (!numeric) return left.localeCompare(right, "en", { numeric: true });
  const [a, b] = [numberIn(left), numberIn(right)];
  if (a === null || b === null) return (a === null) - (b === null);
  return a - b;
};
for (const table of document.querySelectorAll("table[data-sortable]")) {
  const body = table.tBodies[0];
  const original = [...body.rows];
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, at) => {
    const title = head.querySelector(".title");
    if (!title) return;
    const button = document.createElement("button");
    button.type = "button";
    button.className = "sort";
    title.replaceWith(button);
    button.append(title);
    button.addEventListener("click", () => {
      const next = { ascending: "descending", descending: null }[head.getAttribute("aria-sort")];
      const order = next === undefined ? "ascending" : next;
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      if (order) head.setAttribute("aria-sort", order);
      const numeric = head.classList.contains("right");
      const turn = order === "descending" ? -1 : 1;
      const text = (row) => row.cells[at].textContent.trim();
      const sorted = order ? [...original].sort((a, b) => turn * compareCells(text(a), text(b), numeric)) : original;
      body.append(...sorted);
    });
  });
}
// A table that is wider than its box can be scrolled with the keyboard, too.
for (const box of document.querySelectorAll(".scroll")) {
  if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
}
window.addEventListener("beforeprint", () => {
  for (const part of document.querySelectorAll("details:not([open])")) {
    part.open = true;
    part.dataset.printed = "";
  }
});
window.addEventListener("afterprint", () => {
  for (const part of document.querySelectorAll("details[data-printed]")) {
    part.open = false;
    delete part.dataset.printed;
  }
});