/** Reports for programs: JSON, and JUnit XML for continuous integration. */
import { rename, writeFile } from 'node:fs/promises'
import { asFileFailure, Failure } from '../base/failure.ts'
import { workingPath } from '../base/leftovers.ts'
import { leavesOf, type Report, type Verdict } from './report.ts'

/** Writes reports to a file, as JSON or JUnit XML by its ending. Fails with USAGE and as file failures. */
export async function writeReports(path: string, reports: readonly Report[]): Promise<void> {
  const text = path.endsWith('.xml')
    ? toJunit(reports)
    : path.endsWith('.json')
      ? `${JSON.stringify(reports.length === 1 ? reports[0] : reports, undefined, 2)}\n`
      : undefined
  if (text === undefined)
    throw new Failure('USAGE', `--report ${path}: wanted a name that ends in .json or .xml`)
  const beside = workingPath(path, 'report')
  try {
    await writeFile(beside, text)
    await rename(beside, path)
  } catch (error) {
    throw asFileFailure(error, path)
  }
}

/**
 * One suite for each target, one case for each step.
 * Source: the JUnit XML that Jenkins, GitLab and GitHub actions read (testsuites, testsuite, testcase, failure, error, skipped).
 */
export function toJunit(reports: readonly Report[]): string {
  const suites = reports.map((report) => {
    const leaves = leavesOf(report.verdicts)
    const count = (...statuses: string[]) =>
      leaves.filter(({ status }) => statuses.includes(status)).length
    const attributes = {
      name: `${report.recipe.name} on ${report.target.name}`,
      tests: leaves.length,
      failures: count('differs'),
      errors: count('failed', 'unknown'),
      skipped: count('skipped'),
      time: report.durationMs / 1000,
      timestamp: report.startedAt.toISOString(),
    }
    return `  <testsuite${format(attributes)}>\n${leaves.map((leaf) => toCase(leaf, report)).join('')}  </testsuite>\n`
  })
  return `<?xml version="1.0" encoding="UTF-8"?>\n<testsuites>\n${suites.join('')}</testsuites>\n`
}

function toCase(verdict: Verdict, report: Report): string {
  const { id, title, status, place, durationMs, message, differences, output } = verdict
  const attributes = format({
    name: title,
    classname: `${report.recipe.name}.${id}`,
    file: place.file,
    line: place.line,
    time: durationMs / 1000,
  })
  const told = [...differences.map(formatDifference), message, output]
    .filter((text) => text !== undefined)
    .join('\n')
  const inner: Readonly<Record<string, string>> = {
    differs: `<failure${format({ message: differences[0] ? formatDifference(differences[0]) : 'differs' })}>${escape(told)}</failure>`,
    failed: `<error${format({ message: message ?? 'failed' })}>${escape(told)}</error>`,
    unknown: `<error${format({ message: message ?? 'unknown' })}>${escape(told)}</error>`,
    skipped: `<skipped${format({ message: message ?? '' })}/>`,
  }
  return `    <testcase${attributes}>${inner[status] ?? ''}</testcase>\n`
}

/** `package nginx: wanted installed, found nothing`. */
export function formatDifference({
  what,
  expected,
  found,
}: {
  what: string
  expected: string
  found: string
}): string {
  return `${what}: wanted ${expected}, found ${found}`
}

function format(attributes: Readonly<Record<string, string | number>>): string {
  return Object.entries(attributes)
    .map(([name, value]) => ` ${name}="${escape(String(value))}"`)
    .join('')
}

function escape(text: string): string {
  // XML 1.0 has no way to write most control characters.
  return text
    .replaceAll(/[^\t\n\r\u{20}-\u{d7ff}\u{e000}-\u{fffd}\u{10000}-\u{10ffff}]/gu, '\u{fffd}')
    .replaceAll(
      /[&<>"]/g,
      (char) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' })[char] ?? char,
    )
}
