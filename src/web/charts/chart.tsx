/**
 * The frame of every chart: title, picture, the same as a table, and saving as SVG or PNG.
 *
 * Charts draw at the size they are shown at, so that letters are as large on a phone as on a desk; on a projector larger.
 */
import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { say } from "../language.ts";
import type { Phrase } from "../phrase.ts";
import { isProjected } from "../screen.ts";
import { isHidden } from "../state.ts";
import { savePng, saveSvg } from "./save.ts";

export interface ChartTable {
  readonly columns: readonly string[];
  readonly rows: readonly (readonly (string | number)[])[];
}

export interface ChartProps {
  /** Name of saved files; unique on the page. */
  readonly name: string;
  readonly title: Phrase;
  /** What the picture shows, in a sentence with its main numbers, for those who do not see it. */
  readonly description: string;
  /** The numbers of the picture; made when they are asked for. */
  readonly table: () => ChartTable;
  /** In pixels, or what it is for a width: pictures that wrap. */
  readonly height: number | ((width: number) => number);
  /** The inside of the picture, for its width in pixels. */
  readonly draw: (width: number) => ComponentChildren;
  /** What lies under the picture: a canvas for what is too much for single marks. */
  readonly under?: (width: number) => ComponentChildren;
  readonly legend?: ComponentChildren;
  readonly note?: ComponentChildren;
}

/** How much larger pictures are on a projector. */
const PROJECTED = 1.4;

const words = {
  table: { en: "Table", zh: "表格" },
  save: { en: "Save as", zh: "保存为" },
} satisfies Record<string, Phrase>;

export function Chart({ name, title, description, table, height, draw, under, legend, note }: ChartProps) {
  const [frame, width] = useWidth();
  const [isOpen, open] = useState(false);
  const zoom = isProjected.value ? PROJECTED : 1;
  const inner = width / zoom;
  const tall = typeof height === "number" ? height : height(inner);
  return (
    <figure class="chart" id={name}>
      <figcaption>{say(title)}</figcaption>
      {legend}
      <div class="picture" ref={frame} style={{ height: `${tall * zoom}px` }}>
        {width === 0 ? null : (
          <>
            {under === undefined ? null : (
              <div class="under" style={{ transform: `scale(${zoom})` }}>
                {under(inner)}
              </div>
            )}
            <svg
              role="img"
              aria-label={`${say(title)}. ${description}`}
              width={width}
              height={tall * zoom}
              viewBox={`0 0 ${inner} ${tall}`}
            >
              {draw(inner)}
            </svg>
          </>
        )}
      </div>
      {note === undefined ? null : <p class="note">{note}</p>}
      {isHidden("tools") ? null : (
        <Tools name={name} title={say(title)} open={open}>
          {isOpen ? <Table {...table()} title={say(title)} /> : null}
        </Tools>
      )}
    </figure>
  );
}

/** Drawn once, and with the table that it holds. */
function Tools({
  name,
  title,
  open,
  children,
}: {
  readonly name: string;
  readonly title: string;
  readonly open: (isOpen: boolean) => void;
  readonly children: ComponentChildren;
}) {
  const picture = (event: Event) =>
    (event.currentTarget as Element).closest("figure")!.querySelector<HTMLElement>(".picture")!;
  return (
    <div class="chart-tools">
      <details onToggle={(event) => open(event.currentTarget.open)}>
        <summary aria-label={`${say(words.table)}: ${title}`}>{say(words.table)}</summary>
        {children}
      </details>
      <button type="button" aria-label={`${say(words.save)} SVG: ${title}`} onClick={(e) => saveSvg(name, picture(e))}>
        SVG
      </button>
      <button type="button" aria-label={`${say(words.save)} PNG: ${title}`} onClick={(e) => savePng(name, picture(e))}>
        PNG
      </button>
    </div>
  );
}

function Table({ columns, rows, title }: ChartTable & { readonly title: string }) {
  return (
    // A region that scrolls must be reachable by keyboard.
    // biome-ignore lint/a11y/noNoninteractiveTabindex: see above
    <section class="scroll" tabIndex={0} aria-label={title}>
      <table>
        <thead>
          <tr>
            {columns.map((column) => (
              <th key={column} scope="col">
                {column}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row, i) => (
            <tr key={i}>
              {row.map((cell, j) =>
                j === 0 ? (
                  <th key={j} scope="row">
                    {cell}
                  </th>
                ) : (
                  <td key={j}>{cell}</td>
                ),
              )}
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

/** In narrower windows pictures are cut off rather than drawn inside out. */
const LEAST_WIDTH = 200;

/** The width that an element has at the moment; 0 before it is laid out. */
export function useWidth() {
  const frame = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(0);
  useEffect(() => {
    const element = frame.current!;
    const measure = () => setWidth(Math.max(LEAST_WIDTH, Math.floor(element.clientWidth)));
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  return [frame, width] as const;
}
