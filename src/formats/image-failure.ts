import { Failure, type FailureCode } from '../base/failure.ts'
import { type Finding, type FindingCode, FINDINGS } from './finding.ts'

/** Findings that are a failure of their own; all others make an image unsafe. */
const CODES: Partial<Record<FindingCode, FailureCode>> = {
  ENCRYPTED: 'FILE_SYSTEM_ENCRYPTED',
  DIRTY: 'IMAGE_DIRTY',
  TRUNCATED: 'IMAGE_TRUNCATED',
  EMPTY: 'IMAGE_TRUNCATED',
  FORMAT_UNSUPPORTED: 'IMAGE_UNREADABLE',
  FORMAT_VERSION: 'IMAGE_UNREADABLE',
  UNKNOWN_FEATURE: 'IMAGE_UNREADABLE',
}

const FLATTEN = 'Make it one file that needs no other: qemu-img convert -O qcow2 IN OUT'
const FIXES: Partial<Record<FindingCode, string>> = {
  BACKING_FILE: FLATTEN,
  DATA_FILE: FLATTEN,
  EXTERNAL_REFERENCE: FLATTEN,
  PARENT: FLATTEN,
}

/**
 * The failure of who wanted to open an image of which this was found: of the first finding that
 * refuses it, with all of them in `details.findings`.
 */
export function imageFailure(
  name: string,
  findings: readonly Finding[],
  tolerated: readonly FindingCode[] = [],
): Failure {
  const refused = findings.filter(
    ({ code, severity }) => severity === 'refuse' && !tolerated.includes(code),
  )
  // Counts that are wrong follow from whatever else is.
  const finding = refused.find(({ code }) => code !== 'REFCOUNT') ?? refused[0]
  if (finding === undefined) return new Failure('IMAGE_UNSAFE', `${name} cannot be read`)
  const { code, at, found, expected } = finding
  const place = at === undefined ? '' : `, byte ${at}`
  const facts = [found && `found ${found}`, expected && `expected ${expected}`].filter(Boolean)
  const text = `${name}${place}: ${FINDINGS[code].title}`
  const fix = FIXES[code]
  return new Failure(
    CODES[code] ?? 'IMAGE_UNSAFE',
    facts.length === 0 ? text : `${text} (${facts.join('; ')})`,
    { details: { finding: code, offset: at, findings }, ...(fix && { fix }) },
  )
}
