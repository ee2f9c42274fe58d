import { styleText } from 'node:util'
import { formatDuration } from '../base/units.ts'
import type { BootCheck, BootReport } from '../machines/boot-report.ts'

const MARKS: Readonly<Record<BootCheck['status'], string>> = {
  passed: '✓',
  failed: '✗',
  warning: '!',
  unknown: '?',
}
const COLOURS = { passed: 'green', failed: 'red', warning: 'yellow', unknown: 'yellow' } as const

/** A boot test's report for people: the timeline, the checks, and for a failed boot its cause. */
export function formatBootReport(report: BootReport, colours: boolean): string {
  const paint = (status: BootCheck['status'], text: string) =>
    colours ? styleText(COLOURS[status], text) : text
  const { image, firmware, accelerator, checks, timeline, passed } = report
  const verdict = passed ? 'passed' : 'failed'
  const how = `${firmware.toUpperCase()}, ${accelerator.kind === 'kvm' ? 'KVM' : 'emulated'}`
  const took = formatDuration(report.durationMs)
  return [
    'timeline:',
    ...timeline.map(({ stage, atMs }) => `  ${formatDuration(atMs).padStart(8)}  ${stage}`),
    'checks:',
    ...checks.map(
      ({ name, status, detail }) =>
        `  ${paint(status, MARKS[status])} ${name.padEnd(12)}  ${detail}`,
    ),
    ...(passed ? [] : explain(report)),
    `${paint(verdict, MARKS[verdict])} ${image} ${passed ? 'boots' : 'does not boot as it should'}  (${how}, ${took})`,
  ].join('\n')
}

function explain({ diagnosis, console = [], screenshot }: BootReport): string[] {
  const lines = ['last lines of the console:', ...console.map((line) => `  | ${line}`)]
  if (diagnosis) {
    lines.push(`likely cause: ${diagnosis.cause}`)
    lines.push(...diagnosis.evidence.map((line) => `  | ${line}`), `  ${diagnosis.hint}`)
  }
  if (screenshot !== undefined) lines.push(`screen: ${screenshot}`)
  return lines
}
