/** Quotes words for a POSIX shell. */

/** In single quotes where the shell would see more than a word. */
export const shellWord = (word: string): string =>
  /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
