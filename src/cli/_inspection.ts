import { styleText } from 'node:util'
import { formatSize } from '../base/units.ts'
import { type Finding, FINDINGS, type Severity } from '../formats/finding.ts'
import type { Inspection } from '../formats/inspect.ts'
import { formatTable } from './_table.ts'

const COLOURS = { refuse: 'red', warn: 'yellow', info: 'gray' } as const
const WORDS: Readonly<Record<Severity, string>> = {
  refuse: 'refused',
  warn: 'warning',
  info: 'note',
}

/** What was found in an image, for people: one line that sums it up, then partitions and findings. */
export function formatInspection(
  name: string,
  { claim, format, safe, size, virtualSize, partitions, findings }: Inspection,
  colours: boolean,
): string {
  const paint = (severity: Severity | 'safe', text: string) =>
    colours ? styleText(severity === 'safe' ? 'green' : COLOURS[severity], text) : text
  const verdict = safe ? paint('safe', '✓ safe') : paint('refuse', '✗ unsafe')
  const facts = [
    claim === undefined || claim === format ? format : `${format}, claimed to be ${claim}`,
    formatSize(size),
    ...(virtualSize === undefined ? [] : [`a disk of ${formatSize(virtualSize)}`]),
  ]
  const rows = (partitions?.partitions ?? []).map(({ number, offset, length, type, label }) => [
    `    ${number}`,
    formatSize(offset),
    formatSize(length),
    label === '' ? type : `${type} ${label}`,
  ])
  const table = formatTable([`  ${partitions?.kind ?? ''}`, 'start', 'size', 'type'], rows)
  return [
    `${verdict}  ${name}: ${facts.join(', ')}`,
    ...(rows.length > 0 ? [table] : []),
    ...findings.map((finding) => `  ${paint(finding.severity, formatFinding(finding))}`),
  ].join('\n')
}

/** `refused: A check sum is wrong (CHECKSUM) at byte 64: found 0x12, expected 0x34`. */
function formatFinding({ code, severity, at, found, expected }: Finding): string {
  const place = at === undefined ? '' : ` at byte ${at}`
  const facts = [
    ...(found === undefined ? [] : [`found ${printable(found)}`]),
    ...(expected === undefined ? [] : [`expected ${printable(expected)}`]),
  ]
  const about = facts.length > 0 ? `: ${facts.join(', ')}` : ''
  return `${WORDS[severity]}: ${FINDINGS[code].title} (${code})${place}${about}`
}

/** Text from an image must not steer the terminal. */
function printable(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Cf}]/gu, '�')
}
