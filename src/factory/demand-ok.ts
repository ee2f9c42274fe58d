import { Failure } from '../base/failure.ts'
import { leavesOf, type Report, type Verdict } from '../recipes/report.ts'
import { formatDifference } from '../recipes/write-report.ts'

/** Fails with STEP_FAILED, naming the first step that did not come out as it should, if the recipe did not hold. */
export function demandOk(report: Report): void {
  if (report.ok) return
  const bad = leavesOf(report.verdicts).find(({ status }) => BAD.has(status))
  const what = bad === undefined ? 'a step failed' : `${bad.title}: ${reasonOf(bad)}`
  throw new Failure('STEP_FAILED', `recipe ${report.recipe.name}: ${what}`, {
    details: { ...(bad && { step: bad.id, output: bad.output ?? '' }) },
  })
}

const BAD: ReadonlySet<Verdict['status']> = new Set(['failed', 'differs', 'unknown'])

function reasonOf({ message, differences: [first], status }: Verdict): string {
  return message ?? (first === undefined ? status : formatDifference(first))
}
