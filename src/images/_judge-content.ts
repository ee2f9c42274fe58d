/**
 * What may be stored as what. Source: the format inspection of the Image API: content of a bare image is of
 * its disk format, but anything may be declared raw; formats that nobody can tell by their content may hold
 * whatever looks like no other format; containers are not looked into.
 */
import { Failure } from '../base/failure.ts'
import type { Inspection } from '../formats/inspect.ts'
import type { FindingCode } from '../formats/finding.ts'
import { imageFailure } from '../formats/image-failure.ts'

/** Formats that are told by their content, and have to be what is declared. */
const TOLD: ReadonlySet<string> = new Set(['qcow2', 'vhd', 'vhdx', 'vmdk', 'vdi', 'iso'])
/** Formats that are known by their content so that they are not taken for another. */
const KNOWN: ReadonlySet<string> = new Set([...TOLD, 'qed', 'luks'])

/** Whoever opens such content as what it looks like is sent to files that are not its own. */
const REACHES_OUT: ReadonlySet<FindingCode> = new Set([
  'BACKING_FILE',
  'DATA_FILE',
  'EXTERNAL_REFERENCE',
  'PARENT',
])
/** Nothing is wrong with bytes that nobody takes for anything else. */
const HARMLESS: ReadonlySet<FindingCode> = new Set(['CLAIM_MISMATCH', 'EMPTY'])

export interface Declared {
  readonly name: string
  readonly diskFormat: string
  readonly containerFormat: string
  readonly requireMatch: boolean
}

/** Whether content of this kind is looked at. */
export function isInspected({ containerFormat }: Declared): boolean {
  return containerFormat === 'bare'
}

/** What the inspection is told; see `InspectOptions.claim`. */
export function claimOf({ diskFormat, requireMatch }: Declared): string | undefined {
  if (!TOLD.has(diskFormat)) return 'raw'
  return requireMatch ? diskFormat : undefined
}

/** Fails with FORMAT_MISMATCH, and as `imageFailure` says, when the content is not what it may be. */
export function judgeContent(inspection: Inspection, declared: Declared): void {
  const { name, diskFormat, requireMatch } = declared
  if (requireMatch && diskFormat !== 'raw') demandMatch(inspection, declared)
  const refused = inspection.findings.filter(({ severity, code }) => {
    if (severity !== 'refuse') return false
    if (TOLD.has(diskFormat)) return code !== 'CLAIM_MISMATCH'
    return inspection.format === 'raw' ? !HARMLESS.has(code) : REACHES_OUT.has(code)
  })
  if (refused.length > 0) throw imageFailure(name, refused)
}

function demandMatch({ format, findings, partitions }: Inspection, declared: Declared): void {
  const { name, diskFormat } = declared
  const isGpt = format === 'raw' && partitions?.kind === 'gpt'
  const matches = TOLD.has(diskFormat)
    ? format === diskFormat && findings.every(({ code }) => code !== 'CLAIM_MISMATCH')
    : !KNOWN.has(format) && isGpt === (diskFormat === 'gpt')
  if (matches) return
  const found = isGpt ? 'a disk with a GPT' : format
  throw new Failure('FORMAT_MISMATCH', `${name} is said to be ${diskFormat}, but is ${found}`, {
    details: { declared: diskFormat, found: format, findings },
  })
}
