/** A fenced block of code in a Markdown file. */
export interface Fence {
  /** The number of its first line of code, from 1. */
  readonly line: number;
  readonly code: string;
}

/** The fenced blocks of a Markdown text in one of these languages, at any indentation. */
export function fences(markdown: string, languages: readonly string[]): Fence[] {
  const found: Fence[] = [];
  let open: { indent: string; ticks: string; wanted: boolean; line: number; lines: string[] } | undefined;
  markdown.split('\n').forEach((text, index) => {
    if (open) {
      if (text.trim().startsWith(open.ticks) && /^`+$/.test(text.trim())) {
        if (open.wanted) found.push({ line: open.line, code: open.lines.join('\n') });
        open = undefined;
      } else {
        open.lines.push(text.startsWith(open.indent) ? text.slice(open.indent.length) : text);
      }
      return;
    }
    const [, indent, ticks, language] = /^(\s*)(`{3,})\s*([\w-]*)/.exec(text) ?? [];
    if (indent === undefined || ticks === undefined || language === undefined) return;
    open = { indent, ticks, wanted: languages.includes(language), line: index + 2, lines: [] };
  });
  return found;
}
