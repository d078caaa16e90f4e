/**
 * What the report does in a browser: sorts and filters its table, marks the same run everywhere, copies, and saves
 * figures. The page is complete without it. It is read as text and written into the page, so it imports nothing.
 */

const runOf = (target: EventTarget | null): string | undefined =>
  target instanceof Element
    ? (target.closest<HTMLElement | SVGElement>("[data-run]")?.dataset["run"] ?? undefined)
    : undefined;

const table = document.querySelector<HTMLTableElement>("table.runs");
const rows = table ? [...table.tBodies[0]!.rows] : [];
const marking = document.head.appendChild(document.createElement("style"));
const hiding = document.head.appendChild(document.createElement("style"));

/** One rule for all charts and the table: nothing is searched for. */
function mark(run: string | undefined): void {
  if (marking.dataset["run"] === run) return;
  marking.dataset["run"] = run ?? "";
  if (!run) {
    marking.textContent = "";
    return;
  }
  const it = `[data-run="${CSS.escape(run)}"]`;
  marking.textContent = `svg [data-run]:not(${it}) { opacity: 0.12 } svg ${it} { opacity: 1; stroke-width: 3px }
    .runs tr${it} > * { background: var(--marked) }`;
}

document.addEventListener("pointerover", ({ target }) => mark(runOf(target)));
document.addEventListener("focusin", ({ target }) => mark(runOf(target)));

function cellNumber(row: HTMLTableRowElement, column: number): number {
  return Number.parseFloat(row.cells[column]!.dataset["value"] ?? "");
}

function sortBy(header: HTMLTableCellElement): void {
  const column = header.cellIndex;
  const ascending = header.getAttribute("aria-sort") !== "ascending";
  for (const other of header.parentElement!.children) other.removeAttribute("aria-sort");
  header.setAttribute("aria-sort", ascending ? "ascending" : "descending");
  const isNumeric = header.dataset["kind"] === "number";
  const keys = new Map(rows.map((row) => [row, isNumeric ? cellNumber(row, column) : row.cells[column]!.textContent]));
  const absent = (key: string | number) => key === "" || Number.isNaN(key);
  const compare = (a: string | number, b: string | number) => (a < b ? -1 : a > b ? 1 : 0);
  rows.sort((a, b) => {
    const [x, y] = [keys.get(a)!, keys.get(b)!];
    if (absent(x) || absent(y)) return Number(absent(x)) - Number(absent(y)); // what is not there comes last
    return ascending ? compare(x, y) : compare(y, x);
  });
  table!.tBodies[0]!.append(...rows);
}

/** "> 0.5", "<= 3", "1..2" for numbers; anything else is looked for in the text. */
function predicate(text: string, isNumeric: boolean): (text: string, value: number) => boolean {
  const range = /^\s*(-?[\d.e-]+)\s*\.\.\s*(-?[\d.e-]+)\s*$/i.exec(text);
  if (isNumeric && range) return (_, value) => value >= Number(range[1]) && value <= Number(range[2]);
  const bound = /^\s*(<=|>=|<|>|=)\s*(-?[\d.e-]+)\s*$/i.exec(text);
  if (isNumeric && bound) {
    const limit = Number(bound[2]);
    const tests: Record<string, (value: number) => boolean> = {
      "<": (value) => value < limit,
      "<=": (value) => value <= limit,
      ">": (value) => value > limit,
      ">=": (value) => value >= limit,
      "=": (value) => value === limit,
    };
    return (_, value) => tests[bound[1]!]!(value);
  }
  const wanted = text.trim().toLowerCase();
  return (cell) => cell.toLowerCase().includes(wanted);
}

const filters = [...document.querySelectorAll<HTMLInputElement>("table.runs input")];

function filter(): void {
  const active = filters
    .filter(({ value }) => value.trim() !== "")
    .map((input) => {
      const cell = input.closest("th")!;
      return { column: cell.cellIndex, fits: predicate(input.value, cell.dataset["kind"] === "number") };
    });
  const hidden: string[] = [];
  for (const row of rows) {
    row.hidden = !active.every(({ column, fits }) => fits(row.cells[column]!.textContent, cellNumber(row, column)));
    if (row.hidden) hidden.push(row.dataset["run"]!);
  }
  const all = hidden.map((run) => `svg [data-run="${CSS.escape(run)}"]`).join(",");
  hiding.textContent = all === "" ? "" : `${all} { display: none }`;
  document.querySelector(".shown")!.textContent = `${rows.length - hidden.length} of ${rows.length} shown`;
}

for (const button of document.querySelectorAll<HTMLButtonElement>("table.runs th button")) {
  button.addEventListener("click", () => sortBy(button.closest("th")!));
}
for (const input of filters) input.addEventListener("input", filter);

for (const button of document.querySelectorAll<HTMLButtonElement>("button.copy")) {
  button.addEventListener("click", () => {
    const source = document.getElementById(button.dataset["source"]!)!;
    const said = (text: string) => {
      button.textContent = text;
      setTimeout(() => {
        button.textContent = "Copy";
      }, 1500);
    };
    // A page from a file may have no clipboard: then the text is at least selected.
    const select = () => {
      getSelection()!.selectAllChildren(source);
      said("Selected");
    };
    if ("clipboard" in navigator) navigator.clipboard.writeText(source.textContent).then(() => said("Copied"), select);
    else select();
  });
}

function save(name: string, content: Blob): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(content);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

/** Two pixels for each of the figure's, on white. */
function savePng(name: string, svg: SVGSVGElement, text: string): void {
  const { width, height } = svg.viewBox.baseVal;
  const image = new Image();
  image.addEventListener("load", () => {
    const canvas = document.createElement("canvas");
    canvas.width = 2 * width;
    canvas.height = 2 * height;
    const context = canvas.getContext("2d")!;
    context.fillStyle = "white";
    context.fillRect(0, 0, canvas.width, canvas.height);
    context.drawImage(image, 0, 0, canvas.width, canvas.height);
    canvas.toBlob((blob) => blob && save(name, blob));
  });
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(text)}`;
}

for (const button of document.querySelectorAll<HTMLButtonElement>("button.save")) {
  button.addEventListener("click", () => {
    const figure = button.closest("figure")!;
    const kind = button.dataset["kind"]!;
    const name = `${figure.id}.${kind}`;
    const svg = figure.querySelector("svg")!;
    const text = new XMLSerializer().serializeToString(svg);
    if (kind === "svg") save(name, new Blob([text], { type: "image/svg+xml" }));
    else if (kind === "png") savePng(name, svg, text);
    else {
      const rows = figure.querySelector("script")!;
      save(rows.dataset["file"]!, new Blob([rows.textContent], { type: "text/csv" }));
    }
  });
}

document.documentElement.dataset["ready"] = "yes";
