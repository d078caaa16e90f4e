// What biome does not check: rules that need types, and the ban on functions whose bits differ between hosts.
import tseslint from "typescript-eslint";

const inexact = [
  "exp",
  "expm1",
  "log",
  "log10",
  "log1p",
  "log2",
  "pow",
  "sin",
  "cos",
  "tan",
  "asin",
  "acos",
  "atan",
  "atan2",
  "sinh",
  "cosh",
  "tanh",
  "asinh",
  "acosh",
  "atanh",
  "cbrt",
  "hypot",
  "random",
];

export default tseslint.config(
  { ignores: ["dist/", "results/", "assembly/", "coverage/"] },
  {
    files: ["src/**/*.{ts,tsx}", "experiments/**/*.ts", "test/**/*.ts"],
    languageOptions: { parser: tseslint.parser, parserOptions: { projectService: true } },
    plugins: { "@typescript-eslint": tseslint.plugin },
    rules: {
      "@typescript-eslint/no-floating-promises": "error",
      "@typescript-eslint/no-misused-promises": "error",
      "@typescript-eslint/await-thenable": "error",
      "@typescript-eslint/switch-exhaustiveness-check": ["error", { considerDefaultExhaustiveForUnions: true }],
      "@typescript-eslint/no-unnecessary-condition": ["error", { allowConstantLoopConditions: true }],
      "@typescript-eslint/no-unnecessary-type-assertion": "error",
    },
  },
  {
    // The same bits on every machine: core/elementary.ts has our own versions.
    files: ["src/**/*.ts", "experiments/**/*.ts"],
    ignores: ["src/output/**", "src/cli/**", "src/web/**"],
    rules: {
      "no-restricted-properties": [
        "error",
        ...inexact.map((property) => ({
          object: "Math",
          property,
          message: "Its bits differ between hosts; use src/core/elementary.ts.",
        })),
      ],
      "no-restricted-syntax": [
        "error",
        { selector: "BinaryExpression[operator='**']", message: "Its bits differ between hosts; use integerPower." },
        {
          selector: "AssignmentExpression[operator='**=']",
          message: "Its bits differ between hosts; use integerPower.",
        },
      ],
    },
  },
);
