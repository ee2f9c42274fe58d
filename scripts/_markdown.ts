/** Tables of pages that are made from the code. */
import type { TSchema } from 'typebox'
import { listKeys } from '../src/schema/list-keys.ts'

export function toTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  return [head, head.map(() => '---'), ...rows.map((cells) => cells.map(toCell))]
    .map((cells) => `| ${cells.join(' | ')} |`)
    .join('\n')
}

function toCell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll(/\s*\n\s*/g, ' ')
}

/** The keys of a mapping: each with what it takes and what it means. */
export function keyTable(schema: TSchema, prefix = ''): string {
  const rows = listKeys(schema).map(({ key, value, required, meaning }) => [
    `\`${prefix}${key}\`${required ? ' (needed)' : ''}`,
    value,
    meaning,
  ])
  return toTable(['key', 'value', 'meaning'], rows)
}
