/** The rooms of the house, top first: each imports only from itself and from rooms above it. See ARCHITECTURE.md. */
const rooms = [
  "src/core/",
  "src/routing/",
  "src/balance/",
  "src/placement/",
  "src/metrics/",
  "src/cluster/",
  "src/validation/",
  "src/data/",
  "src/config/",
  "src/engine/",
  "src/price\\.ts$",
  "src/simulate\\.ts$",
  "src/experiment/",
  "src/host/",
  "src/output/",
  "src/run/",
  "src/cli/",
  "src/web/",
];

/** Rooms that may touch files, workers, timers and the rest of Node. */
const edge = "^src/(host|output|run|cli)/";

module.exports = {
  forbidden: [
    { name: "no-cycles", severity: "error", from: {}, to: { circular: true } },
    {
      name: "node-only-at-the-edge",
      comment: "The core runs in a browser too.",
      severity: "error",
      from: { path: "^src/", pathNot: edge },
      to: { dependencyTypes: ["core"] },
    },
    {
      name: "no-unlisted-room",
      comment: "A new room must be given its place in the order.",
      severity: "error",
      from: { path: "^src/", pathNot: rooms.map((room) => `^${room}`) },
      to: {},
    },
    {
      name: "page-without-node",
      comment: "The page is bundled for browsers.",
      severity: "error",
      from: { path: "^src/web/" },
      to: { path: "^src/(host|run|cli)/" },
    },
    ...rooms.slice(0, -1).map((room, i) => ({
      name: `order-${room.replace(/[^a-z]/g, "")}`,
      comment: "Imports only from rooms above.",
      severity: "error",
      from: { path: `^${room}` },
      to: { path: rooms.slice(i + 1).map((lower) => `^${lower}`) },
    })),
  ],
  options: {
    doNotFollow: { path: "node_modules" },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: "tsconfig.json" },
    enhancedResolveOptions: {
      exportsFields: ["exports"],
      conditionNames: ["import", "require", "node", "default", "types"],
    },
  },
};
