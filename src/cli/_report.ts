import { styleText } from 'node:util'
import { formatDuration } from '../base/units.ts'
import { countStatuses, leavesOf, type Report, type Status } from '../recipes/report.ts'
import { formatDifference } from '../recipes/write-report.ts'

const COLOURS = {
  held: 'green',
  changed: 'cyan',
  differs: 'red',
  failed: 'red',
  unknown: 'yellow',
  skipped: 'gray',
} as const
const WORDS: Readonly<Record<Status, string>> = {
  held: 'as it should be',
  changed: 'changed',
  differs: 'different',
  failed: 'failed',
  unknown: 'unknown',
  skipped: 'skipped',
}

/** A report for people: what needs attention in full, and one line that sums it up. */
export function formatReport(report: Report, colours: boolean): string {
  const paint = (status: Status, text: string) =>
    colours ? styleText(COLOURS[status], text) : text
  const lines: string[] = []
  for (const verdict of leavesOf(report.verdicts)) {
    const { status, place, title, differences, message, output } = verdict
    if (status === 'held' || status === 'changed' || (status === 'skipped' && report.ok)) continue
    lines.push(`${paint(status, status)}  ${title}  (${place.file}:${place.line})`)
    for (const difference of differences) lines.push(`    ${formatDifference(difference)}`)
    if (message !== undefined) lines.push(...message.split('\n').map((line) => `    ${line}`))
    if (output !== undefined) lines.push(...output.split('\n').map((line) => `    | ${line}`))
  }
  const counts = Object.entries(countStatuses(report.verdicts))
    .filter(([, count]) => count > 0)
    .map(([status, count]) => paint(status as Status, `${count} ${WORDS[status as Status]}`))
  const mark = report.ok ? paint('held', '✓') : paint('failed', '✗')
  const how = `${report.facts.prettyName}, by ${report.target.via}, ${formatDuration(report.durationMs)}`
  lines.push(
    `${mark} ${report.recipe.name} on ${report.target.name}: ${counts.join(', ') || 'nothing to do'}  (${how})`,
  )
  return lines.join('\n')
}

/** 0 if all is well; 4 if something is not as it should be; 1 if something could not be done or told. */
export function exitCodeOf(reports: readonly Report[]): number {
  const leaves = reports.flatMap((report) => leavesOf(report.verdicts))
  const bad = reports.some((report) => !report.ok)
  if (!bad) return 0
  return reports.some((report) => !report.ok && report.mode === 'reconcile') ||
    !leaves.some(({ status }) => status === 'differs')
    ? 1
    : 4
}
