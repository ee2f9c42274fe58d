import type { Claim, StreamPacking } from './_claim.ts'
import { isStructured, type Match } from './_detect.ts'
import { filesNamedBy } from './_descriptor-text.ts'
import type { FindingList } from './_findings.ts'
import { PACKINGS } from './_claim.ts'

/** Which disk or other content is looked for at one level: in the file, or in what it unpacks to. */
export interface Level {
  readonly claim: Claim | undefined
  /** Already inside another file, where no second compression and no archive may be. */
  readonly unpacked: boolean
  /** How the file is compressed that this was in. */
  readonly packing?: StreamPacking
}

/** What is to be taken apart next, after the formats were told. */
export interface Decision {
  /** `qcow2`, `gzip`, `tar`, `raw`, `qed`; for people and for who goes on. */
  readonly format: string
  readonly kind: Match['kind'] | 'raw'
}

/**
 * Tells from all that matched what the file is, and notes everything that is wrong about that:
 * formats that are recognised and not read, several at once, another than the claimed one.
 */
export function decide(
  matches: readonly Match[],
  level: Level,
  findings: FindingList,
  head: Uint8Array,
): Decision {
  const { claim, unpacked } = level
  const structured = matches.filter(isStructured)
  noteAmbiguity(matches, structured, findings)
  const wanted = wantedMatch(claim, unpacked)
  const chosen = structured.find(({ format }) => wanted.has(format)) ?? structured[0]
  // Nothing here unpacks lz4: what the kernel will find in such a ramdisk is not looked at.
  if (chosen?.format === 'lz4' && claim?.content === 'ari' && !unpacked)
    return { format: 'ari', kind: 'raw' }
  if (chosen === undefined) {
    noteUnmatched(matches, claim, unpacked, findings)
    return { format: plainFormat(matches, claim), kind: 'raw' }
  }
  noteRefusal(chosen, level, findings, head)
  if (claim && !wanted.has(chosen.format) && chosen.kind !== 'encrypted')
    findings.note('CLAIM_MISMATCH', {
      at: chosen.at,
      found: chosen.format,
      expected: contentOf(claim, unpacked),
    })
  return { format: chosen.format, kind: chosen.kind }
}

/** Whether an archive at this level is what Compute Engine imports: a tar in a gzip. */
export function canBeGce({ claim, packing }: Level): boolean {
  return packing === 'gzip' && (claim === undefined || claim.content === 'gce')
}

/** What the claim says of this level: of the file itself, or of what it unpacks to. */
function contentOf(claim: Claim, unpacked: boolean): string {
  return claim.packing === undefined || unpacked ? claim.content : PACKINGS[claim.packing]
}

/** The formats of which one must have matched for the claim to hold. */
function wantedMatch(claim: Claim | undefined, unpacked: boolean): ReadonlySet<string> {
  if (claim === undefined) return new Set()
  const content = contentOf(claim, unpacked)
  if (content === 'ova' || content === 'gce') return new Set(['tar'])
  if (content === 'vmdk') return new Set(['vmdk', 'vmdk-descriptor', 'cowd', 'sesparse'])
  if (content === 'ari') return new Set(['gzip', 'xz', 'zstd', 'bzip2', 'lz4'])
  if (content === 'aki') return new Set(['gzip']) // of arm64, whose loaders unpack it
  return new Set([content])
}

/** Two formats at once; a boot sector in an ISO and the guest's disk before a VHD footer are none. */
function noteAmbiguity(
  matches: readonly Match[],
  structured: readonly Match[],
  findings: FindingList,
): void {
  const [first, second] = structured
  const plain = matches.filter((match) => !isStructured(match))
  const other = second ?? (first && plain.find((match) => !goesWith(first, match)))
  if (first === undefined || other === undefined) return
  const names = [...structured, ...plain].map(({ format, at }) => `${format} (byte ${at})`)
  findings.note('AMBIGUOUS_FORMAT', { at: other.at, found: names.join(', ') })
}

function goesWith(structured: Match, plain: Match): boolean {
  if (structured.kind === 'optical') return plain.kind === 'table'
  return structured.format === 'vhd' && structured.at > 0
}

/** Formats that are recognised so that they can be refused by name. */
function noteRefusal(
  { format, kind, at }: Match,
  level: Level,
  findings: FindingList,
  head: Uint8Array,
): void {
  const isNested = kind === 'packed' || (kind === 'archive' && !canBeGce(level)) || format === 'zip'

  if (kind === 'encrypted')
    findings.note('ENCRYPTED', { at, found: 'LUKS', expected: 'a disk that can be read' })
  if (level.unpacked && isNested)
    findings.note('NESTED_FORMAT', { at, found: `${format} inside a compressed file` })
  if (format === 'vmdk-descriptor')
    for (const { at: line, name, what } of filesNamedBy(head))
      findings.note(what === 'parent' ? 'PARENT' : 'EXTERNAL_REFERENCE', { at: line, found: name })
  if (kind === 'foreign') findings.note('FORMAT_UNSUPPORTED', { at, found: format })
}

/** Nothing structured stands there: fine for a disk, a kernel or a ramdisk; not for anything else. */
function noteUnmatched(
  matches: readonly Match[],
  claim: Claim | undefined,
  unpacked: boolean,
  findings: FindingList,
): void {
  if (claim === undefined) return
  const content = contentOf(claim, unpacked)
  const has = (kind: Match['kind']) => matches.find((match) => match.kind === kind)
  const mismatch = (found: string, expected: string, at?: number) =>
    findings.note('CLAIM_MISMATCH', { ...(at !== undefined && { at }), found, expected })
  if (content === 'raw') return
  const table = has('table')
  if (content === 'ami') {
    if (table) mismatch(`a partition table (${table.format})`, 'a file system', table.at)
    else if (!has('filesystem')) mismatch('no file system that is known', 'a file system')
  } else if (content === 'aki') {
    if (!has('kernel')) mismatch(nameOf(matches), 'a kernel (bzImage, ELF, EFI or arm64)')
    else if (table) mismatch(`a partition table (${table.format})`, 'a kernel', table.at)
  } else if (content === 'ari') {
    if (!has('ramdisk')) mismatch(nameOf(matches), 'a cpio archive, or one that is compressed')
  } else mismatch(nameOf(matches), content)
}

function nameOf(matches: readonly Match[]): string {
  return matches[0]?.format ?? 'nothing that is known'
}

/** Without anything structured: what was claimed, or what the head looks like. */
function plainFormat(matches: readonly Match[], claim: Claim | undefined): string {
  if (claim?.content === 'ami' || claim?.content === 'aki' || claim?.content === 'ari')
    return claim.content
  if (claim !== undefined || matches.some(({ kind }) => kind === 'table')) return 'raw'
  if (matches.some(({ kind }) => kind === 'kernel')) return 'aki'
  return matches.some(({ kind }) => kind === 'ramdisk') ? 'ari' : 'raw'
}
