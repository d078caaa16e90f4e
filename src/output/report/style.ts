/** The style of reports: light, dark, narrow and printed. Figures are drawn for white; dark pages map their colours. */
import { palette } from "../figures/theme.ts";

/** The palette's blue, black and purple are too dark for a dark page. */
const onDark: Readonly<Record<string, string>> = {
  "#222222": "#e8e8e8",
  "#555555": "#b4b4b4",
  "#888888": "#8c8c8c",
  "#e6e6e6": "#3a3a3a",
  "#ddd": "#3a3a3a",
  [palette.blue]: "#56a8e0",
  [palette.vermilion]: "#ff8a3c",
  [palette.green]: "#2fc79a",
  [palette.purple]: "#d58ad0",
  [palette.black]: "#e8e8e8",
};

const svgOnDark = Object.entries(onDark)
  .flatMap(([light, dark]) => [
    `svg [fill="${light}"] { fill: ${dark} }`,
    `svg [stroke="${light}"] { stroke: ${dark} }`,
  ])
  .join("\n  ");

export const reportStyle = `
:root { --page: #fff; --ink: #222; --soft: #555; --line: #d8d8d8; --panel: #f6f6f4; --marked: #fff0c2; --good: #006b4a; --bad: #a63c00; --link: #005a9c; color-scheme: light dark }
* { box-sizing: border-box }
body { margin: 0; background: var(--page); color: var(--ink); font: 16px/1.5 system-ui, "DejaVu Sans", Verdana, sans-serif }
main { max-width: 58rem; margin: 0 auto; padding: 1.5rem 1rem 4rem }
h1 { font-size: 1.7rem; line-height: 1.25; margin: 0 0 .5rem }
h2 { font-size: 1.2rem; margin: 2.5rem 0 .75rem; border-bottom: 1px solid var(--line); padding-bottom: .25rem }
p { margin: .75rem 0 }
a { color: var(--link) }
.question { font-size: 1.15rem }
.soft, figcaption, .note { color: var(--soft); font-size: .9rem }
ul.claims { list-style: none; padding: 0; margin: 0 }
ul.claims li { padding: .5rem 0 .5rem 2rem; border-bottom: 1px solid var(--line); position: relative }
ul.claims .mark { position: absolute; left: .25rem; font-weight: bold }
.holds .mark { color: var(--good) } .fails .mark { color: var(--bad) }
.found { display: block; color: var(--soft); font-size: .9rem }
figure { margin: 1.5rem 0 }
.scroll { overflow-x: auto }
figure svg { display: block; width: 100%; height: auto; min-width: 36rem }
figure svg > rect[fill="white"] { fill: none }
figure svg [data-run] { cursor: pointer }
button { font: inherit; font-size: .85rem; color: var(--ink); background: var(--panel); border: 1px solid var(--line); border-radius: 4px; padding: .15rem .6rem; cursor: pointer }
button:focus-visible, input:focus-visible, .scroll:focus-visible, summary:focus-visible { outline: 2px solid var(--link); outline-offset: 1px }
.tools { display: flex; flex-wrap: wrap; gap: .4rem; align-items: center; margin: .3rem 0 }
pre { background: var(--panel); border: 1px solid var(--line); border-radius: 4px; padding: .75rem; overflow: auto; max-height: 28rem; margin: .3rem 0; font-size: .85rem }
table { border-collapse: collapse; font-size: .82rem; font-variant-numeric: tabular-nums }
caption { text-align: left; color: var(--soft); padding: .3rem 0 }
th, td { padding: .25rem .5rem; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap }
th { vertical-align: bottom; background: var(--page) }
.text { text-align: left }
thead button { display: block; width: 100%; border: 0; background: none; padding: 0; font-weight: bold; text-align: inherit; white-space: normal; min-width: 4.5rem; max-width: 9rem; color: inherit }
th[aria-sort=ascending] button::after { content: " ▲" } th[aria-sort=descending] button::after { content: " ▼" }
thead input { display: block; font: inherit; width: 100%; min-width: 4rem; background: var(--page); color: var(--ink); border: 1px solid var(--line); border-radius: 3px; padding: .05rem .3rem }
.unit { display: block; font-weight: normal; color: var(--soft); font-size: .75rem }
.printed { display: none } .runs { max-height: none } .table { max-height: 36rem; overflow: auto }
@media screen and (prefers-color-scheme: dark) {
  :root { --page: #16181b; --ink: #e8e8e8; --soft: #b4b4b4; --line: #3a3a3a; --panel: #212428; --marked: #4a3f16; --good: #46d3a4; --bad: #ff9a5c; --link: #7cc0f5 }
  ${svgOnDark}
}
@media print {
  :root { --page: #fff; --ink: #000; --soft: #333; --line: #bbb; --panel: #fff; --good: #006b4a; --bad: #a63c00; --link: #000; color-scheme: light }
  body { font-size: 10pt } main { max-width: none; padding: 0 }
  .tools, thead input { display: none } .printed { display: block }
  figure, li { break-inside: avoid } h2 { break-after: avoid }
  figure svg { min-width: 0 } .scroll, .table, pre { overflow: visible; max-height: none } pre { white-space: pre-wrap }
  table { font-size: 7pt; width: 100% } th, td { padding: 1pt 3pt } tr { break-inside: avoid } thead button { min-width: 0; font-size: inherit }
}
`;
