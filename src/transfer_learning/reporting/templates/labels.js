"use strict";
// The page's script. What people have named comes from attributes and goes back into properties, never into HTML.
const form = document.forms[0];
const cards = [...document.querySelectorAll(".photos li")];
const box = (card) => card.querySelector("input");
const choice = (card) => card.querySelector("select");
let unsaved = false;

function cell(text) {
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

// The file: earlier corrections, then what is ticked, which goes before an earlier one of the same photo. A photo that
// is given back the class of its folder needs none.
function corrections() {
  const ticked = cards.filter((card) => box(card).checked);
  const again = new Set(ticked.map((card) => card.dataset.sha256));
  const kept = [...document.querySelectorAll("#earlier li")].map((one) => one.dataset);
  const rows = [
    ...kept.filter((one) => !again.has(one.sha256)),
    ...ticked.map((card) => ({ ...card.dataset, label: choice(card).value })),
  ].filter((row) => row.label !== row.given);
  const columns = form.dataset.columns.split(",");
  const lines = [columns, ...rows.map((row) => columns.map((column) => cell(row[column])))];
  return lines.map((line) => `${line.join(",")}\n`).join("");
}

function show() {
  const ticked = cards.filter((card) => box(card).checked);
  for (const card of cards) card.classList.toggle("ticked", box(card).checked);
  const out = ticked.filter((card) => choice(card).value === "").length;
  form.querySelector("output").value = ticked.length
    ? `${ticked.length} ticked: ${ticked.length - out} to relabel, ${out} to leave out` : "nothing is ticked";
  form.querySelector("button").disabled = !ticked.length;
}

// In place of the most probable classes, all of them.
function expand(select) {
  const there = new Set([...select.options].map((option) => option.value));
  const own = select.closest("li").querySelector("b").textContent;
  select.querySelector("[data-more]").remove();
  for (const { value } of document.getElementById("classes").options) {
    if (!there.has(value) && value !== own) select.add(new Option(value, value));
  }
  select.selectedIndex = 0;
}

form?.addEventListener("change", (event) => {
  const select = event.target.closest("select");
  if (select) {
    if (select.selectedOptions[0].hasAttribute("data-more")) expand(select);
    box(select.closest("li")).checked = true; // whoever chooses has found it wrong
  }
  unsaved = true;
  show();
});

form?.addEventListener("submit", (event) => {
  event.preventDefault();
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([corrections()], { type: "text/csv" }));
  link.download = "corrections.csv";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  unsaved = false;
});

addEventListener("beforeunload", (event) => {
  if (unsaved) event.preventDefault();
});
