/** A result of the command line, dropped on the page and explored in the page's charts. */
import { useEffect, useState } from "preact/hooks";
import { DropZone } from "../drop-zone.tsx";
import type { DroppedFile } from "../dropped.ts";
import { say } from "../language.ts";
import { announce } from "../messages.ts";
import type { Phrase } from "../phrase.ts";
import { Choice } from "../results/choice.tsx";
import { DomainExperts, isDomainExperts } from "../results/domain-experts.tsx";
import { Explorer } from "../results/explorer.tsx";
import { isLoads, Loads } from "../results/loads.tsx";
import { openEmbedded, opened, openFiles, type Result } from "../results/opened.ts";
import { isRun, Overview } from "../results/overview.tsx";
import type { Table } from "../results/table.ts";
import type { Scene } from "../scene.ts";

const words = {
  lead: {
    en: "Drop a CSV file of a result, or the folder of a run or a sweep, and look at it in the charts of this page. It stays on your machine.",
    zh: "把结果的 CSV 文件、一次运行或扫描的文件夹拖到这里，用本页的图表查看。数据不会离开你的电脑。",
  },
  invite: { en: "Drop results/*.csv or a folder here, or", zh: "把 results/*.csv 或文件夹拖到这里，或" },
  choose: { en: "choose files", zh: "选择文件" },
  file: { en: "File", zh: "文件" },
  overview: { en: "the whole run", zh: "整个运行" },
  where: {
    en: "moge run, moge sweep and moge experiment write them below results/; docs/columns.md explains every column.",
    zh: "moge run、moge sweep 和 moge experiment 把它们写在 results/ 下；每一列的说明见 docs/columns.md。",
  },
} satisfies Record<string, Phrase>;

function View() {
  useEffect(openEmbedded, []);
  const take = async (files: readonly DroppedFile[]) => {
    if (!(await openFiles(files))) return;
    const { name, tables } = opened.value!;
    announce({ en: `${name}: ${tables.length} files`, zh: `${name}：${tables.length} 个文件` });
  };
  return (
    <>
      <DropZone invitation={words.invite} choose={words.choose} folders={true} onFiles={(files) => void take(files)} />
      {opened.value === undefined ? <p class="note">{say(words.where)}</p> : <Opened result={opened.value} />}
    </>
  );
}

const OVERVIEW = "";

function Opened({ result }: { readonly result: Result }) {
  const { name, tables } = result;
  const hasOverview = tables.length > 1 && isRun(tables);
  const [chosen, choose] = useState<{ readonly of: Result; readonly file: string }>();
  const first = hasOverview ? OVERVIEW : tables[0]!.name;
  const file = chosen?.of === result ? chosen.file : first;
  const table = tables.find((each) => each.name === file);
  const files = tables.map((each) => [each.name, each.name] as const);
  return (
    <>
      <h2>{name}</h2>
      {files.length > 1 ? (
        <div class="choices">
          <Choice
            label={say(words.file)}
            value={file}
            options={hasOverview ? [[OVERVIEW, say(words.overview)], ...files] : files}
            onChoose={(next) => choose({ of: result, file: next })}
          />
        </div>
      ) : null}
      {table === undefined ? <Overview tables={tables} key={name} /> : <File table={table} key={file} />}
    </>
  );
}

function File({ table }: { readonly table: Table }) {
  if (isLoads(table)) return <Loads table={table} />;
  if (isDomainExperts(table)) return <DomainExperts table={table} />;
  return <Explorer table={table} />;
}

export const results: Scene = { name: "results", lead: words.lead, View };
