/** How progress can be shown. By itself, because the help needs the names and not the bars. */
export const progressModes = ["auto", "bar", "text", "none"] as const;

export type ProgressMode = (typeof progressModes)[number];
