/** A row of the sidebar that typedoc writes. */
export interface SidebarItem {
  readonly text: string;
  readonly link?: string;
  readonly items?: readonly SidebarItem[];
}

/** Words of everyday language, or of another meaning in most guides: these are not linked. */
const COMMON = new Set(['auto', 'bytes', 'consume', 'publish', 'text']);
/** The largest number of guides listed on a page of the reference. */
const MOST = 4;
const FENCES = /^(\s*`{3,})[\s\S]*?^\1/gm;

/** Where each exported symbol has its page, below the pages of the site. */
export function symbolsOf(items: readonly SidebarItem[]): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  const visit = ({ text, link, items: inner = [] }: SidebarItem): void => {
    if (link?.endsWith('.md') && inner.length === 0 && !COMMON.has(text)) found.set(text, link.replace(/^\//, ''));
    inner.forEach(visit);
  };
  items.forEach(visit);
  return found;
}

/** The first mention of each symbol in each section becomes a link. Headings, code blocks, tables and links stay as they are. */
export function linkSymbols(text: string, symbols: ReadonlyMap<string, string>): string {
  const seen = new Set<string>();
  let fence: string | undefined;
  const linked = text.split('\n').map((line) => {
    const [, ticks] = /^\s*(`{3,})/.exec(line) ?? [];
    if (ticks !== undefined) fence = fence === undefined ? ticks : undefined;
    if (line.startsWith('#')) seen.clear();
    if (fence !== undefined || ticks !== undefined || /^(#|\|)/.test(line)) return line;
    return line.replace(/(?<!\[)`(\w+)`(?!\])/g, (code, name: string) => {
      const path = symbols.get(name);
      if (path === undefined || seen.has(name)) return code;
      seen.add(name);
      return `[${code}](/${path})`;
    });
  });
  return linked.join('\n');
}

/** For each symbol the guides that explain it: those that speak of it most. */
export function guidesBySymbol(
  guides: ReadonlyMap<string, string>,
  symbols: ReadonlyMap<string, string>,
): ReadonlyMap<string, readonly string[]> {
  const found = new Map<string, { readonly guide: string; readonly count: number }[]>();
  for (const [guide, text] of guides) {
    const counts = new Map<string, number>();
    for (const [, name = ''] of text.replace(FENCES, '').matchAll(/`(\w+)`/g)) {
      if (symbols.has(name)) counts.set(name, (counts.get(name) ?? 0) + 1);
    }
    for (const [name, count] of counts) found.set(name, [...(found.get(name) ?? []), { guide, count }]);
  }
  return new Map(
    [...found].map(([name, mentions]) => [
      name,
      mentions
        .sort((a, b) => b.count - a.count || a.guide.localeCompare(b.guide))
        .slice(0, MOST)
        .map(({ guide }) => guide),
    ]),
  );
}
