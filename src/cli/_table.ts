import { stripVTControlCharacters } from 'node:util'

/** Columns of text, each as wide as it needs; the last one is not padded. */
export function formatTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [head, ...rows]
  const widths = head.map((_, column) => Math.max(...all.map((row) => widthOf(row[column] ?? ''))))
  const format = (row: readonly string[]) =>
    row
      .map((cell, column) =>
        column === head.length - 1
          ? cell
          : cell + ' '.repeat((widths[column] ?? 0) - widthOf(cell)),
      )
      .join('  ')
      .trimEnd()
  return all.map(format).join('\n')
}

function widthOf(text: string): number {
  return stripVTControlCharacters(text).length
}
