/**
 * An esbuild plugin for the small page. Of the core's tables it keeps the entries that the page shows, and leaves out
 * what they say to readers of the documentation (sources, help, summaries): the page has words of its own.
 */
import { readFileSync } from "node:fs";
import ts from "typescript";

/** Entries of tables that the page shows. */
const shown = {
  routers: ["topk", "moge", "group-limited", "switch", "expert-choice"],
  balancingRules: ["switch-loss", "loss-free-bias"],
  routingPresets: [],
  ascendDevices: [
    "ascend-910a",
    "ascend-910b2",
    "ascend-910b3",
    "ascend-910b4",
    "ascend-910c-die",
    "ascend-950pr",
    "ascend-950dt",
  ],
  nvidiaDevices: [],
  ascendTopologies: [
    "a2-8xhccs-roce",
    "a2-pcie",
    "a3-vendor",
    "a3-measured",
    "a3-roce",
    "950pr-4xub",
    "950dt-superpod",
  ],
  nvidiaTopologies: ["ideal"],
  textDomains: [],
  capacityRules: ["megatron"],
  statistics: ["load", "probability"],
  loadMetrics: ["imbalance-score", "max-over-mean"],
  assignmentMetrics: ["fan-out"],
  dropMetrics: ["drop-rate"],
  scoreMetrics: ["chosen-probability"],
};

/** Properties of table entries that the page never reads: what documentation shows, and what other layers are priced by. */
const properties = new Set(["source", "differs", "help", "summary", "formula", "attention", "eightBit"]);

/** Methods of table entries that only the command line calls. */
const methods = new Set(["explain"]);

/** Tables of nothing but such texts: options of settings, by name. */
const textTables = new Set(
  "normalisations dropOrders tokenPriorities capacityLevels groupScores groupMasks comparedValues scopes countedChoices probabilityKinds dispatchModes noiseKinds".split(
    " ",
  ),
);

/** Which argument of a function is such a text. */
const describing = {
  ...Object.fromEntries(
    "described count countOrZero positive notNegative fraction flag section".split(" ").map((name) => [name, 1]),
  ),
  ...Object.fromEntries("measured vendor derived assumed label".split(" ").map((name) => [name, 1])),
  choice: 2,
};

/** The scene that it opens says where training is to be had. */
const chapterWithoutTraining = `export const trainingChapter = {
  title: { en: "Routers that learn", zh: "会学习的路由器" }, text: [], set: { scene: "training" }, knobs: [],
};`;

export const smallPage = {
  name: "small-page",
  setup(plugin) {
    plugin.onLoad({ filter: /web.results.column-text\.ts$/ }, () => ({
      contents: "export const columnText = () => undefined;",
    }));
    plugin.onLoad({ filter: /web.tour.training-chapter\.ts$/ }, () => ({ contents: chapterWithoutTraining }));
    plugin.onLoad({ filter: /web.knobs.training\.ts$/ }, () => ({ contents: "export const trainingKnobs = {};" }));
    plugin.onLoad({ filter: /src.(routing|balance|placement|metrics|cluster|data|config).[\w-]+\.ts$/ }, ({ path }) => {
      const file = ts.createSourceFile(path, readFileSync(path, "utf8"), ts.ScriptTarget.ES2022, true);
      const { transformed } = ts.transform(file, [
        (context) => (root) => ts.visitNode(root, visitor(context, /metrics/.test(path))),
      ]);
      return { contents: ts.createPrinter().printFile(transformed[0]), loader: "ts" };
    });
  },
};

/** @param hasSources whether the page shows the sources of this table */
const visitor = (context, hasSources) => {
  const { factory } = context;
  const nothing = () => factory.createStringLiteral("");
  const withoutTexts = ({ properties: entries }) =>
    factory.createObjectLiteralExpression(
      entries.map((entry) => factory.updatePropertyAssignment(entry, entry.name, nothing())),
    );
  const visit = (node) => {
    if (ts.isVariableDeclaration(node) && node.name.text in shown && ts.isSourceFile(node.parent.parent.parent)) {
      const literal = tableOf(node.initializer);
      const kept = literal.properties.filter(({ name }) => shown[node.name.text].includes(name.text));
      return factory.updateVariableDeclaration(
        node,
        node.name,
        undefined,
        undefined,
        factory.createObjectLiteralExpression(kept.map((entry) => ts.visitNode(entry, visit))),
      );
    }
    if (ts.isVariableDeclaration(node) && textTables.has(node.name.text)) {
      const blank = withoutTexts(tableOf(node.initializer));
      return factory.updateVariableDeclaration(node, node.name, undefined, undefined, blank);
    }
    if (isCitation(node)) {
      return factory.updateVariableDeclaration(node, node.name, undefined, undefined, nothing());
    }
    if (ts.isMethodDeclaration(node) && methods.has(node.name.text)) return undefined;
    if (!hasSources && ts.isPropertyAssignment(node) && properties.has(node.name.text)) {
      return factory.updatePropertyAssignment(node, node.name, nothing());
    }
    if (ts.isCallExpression(node) && node.expression.text in describing) {
      const text = describing[node.expression.text];
      const rest = node.arguments.map((argument, i) => {
        if (i === text) return nothing();
        // The options of a choice, each with what it means.
        const isOptions = node.expression.text === "choice" && ts.isObjectLiteralExpression(argument);
        return isOptions ? withoutTexts(argument) : ts.visitNode(argument, visit);
      });
      return factory.updateCallExpression(node, node.expression, undefined, rest);
    }
    return ts.visitEachChild(node, visit, context);
  };
  return visit;
};

/** Sources that several constants of a device or link share have names in capitals. */
const isCitation = (node) =>
  ts.isVariableDeclaration(node) && /^[A-Z_]+$/.test(node.name.text) && isText(node.initializer);

const isText = (node) =>
  ts.isStringLiteral(node) ||
  ts.isTemplateExpression(node) ||
  (ts.isBinaryExpression(node) && isText(node.left) && isText(node.right));

/** The object literal of `{ … } satisfies …`. */
const tableOf = (initializer) =>
  ts.isObjectLiteralExpression(initializer) ? initializer : tableOf(initializer.expression);
