/**
 * What an inspection found in an image. Findings are data, not text: programs count on the codes, and
 * the uploader is shown where the fault is, what stands there and what should. `docs/formats.md` shows
 * the table below; a test compares them.
 */

export type Severity = 'refuse' | 'warn' | 'info'

export interface Finding {
  readonly code: FindingCode
  readonly severity: Severity
  /** Byte of the file (of the unpacked content, inside a compressed file) it is about. */
  readonly at?: number
  /** What stands there, and what should, as people write it: `0x40000000`, `a file of 512 bytes`. */
  readonly found?: string
  readonly expected?: string
}

/** Every finding: how grave it usually is, and what it means. */
export const FINDINGS = {
  // What the file is
  CLAIM_MISMATCH: {
    severity: 'refuse',
    title: 'The content is not of the format it is said to be',
  },
  AMBIGUOUS_FORMAT: {
    severity: 'refuse',
    title: 'The content is valid in several formats; programs would disagree about what it is',
  },
  FORMAT_UNSUPPORTED: {
    severity: 'refuse',
    title: 'A format, or a variant of one, that is recognised but not read',
  },
  FORMAT_VERSION: {
    severity: 'refuse',
    title: 'A version of the format that nobody has specified',
  },
  NESTED_FORMAT: {
    severity: 'refuse',
    title: 'Inside the image stands another image or another layer of compression',
  },
  EMPTY: { severity: 'refuse', title: 'There is no content' },

  // What it reaches for
  BACKING_FILE: { severity: 'refuse', title: 'The image names another file as its lower layer' },
  DATA_FILE: { severity: 'refuse', title: 'The image keeps its data in another file' },
  EXTERNAL_REFERENCE: { severity: 'refuse', title: 'The image names another file' },
  PARENT: { severity: 'refuse', title: 'The image is only the difference to a parent image' },
  ENCRYPTED: { severity: 'refuse', title: 'The content is encrypted' },
  SNAPSHOTS: { severity: 'refuse', title: 'The image holds internal snapshots' },
  UNKNOWN_FEATURE: {
    severity: 'refuse',
    title: 'A feature, region or line that must be understood and is not',
  },
  DIRTY: {
    severity: 'refuse',
    title: 'The image was not closed cleanly, or says itself that it is damaged',
  },

  // Whether its tables tell the truth
  HEADER_INVALID: { severity: 'refuse', title: 'A field of a header has a value it cannot have' },
  CHECKSUM: { severity: 'refuse', title: 'A check sum is wrong' },
  TABLE_TOO_LARGE: { severity: 'refuse', title: 'A table is larger than the disk can need' },
  TABLE_TOO_SMALL: { severity: 'refuse', title: 'A table is too small for the disk' },
  ENTRY_INVALID: { severity: 'refuse', title: 'An entry of a table has bits that it cannot have' },
  MISALIGNED: { severity: 'refuse', title: 'A table or a block does not stand where it may' },
  OUT_OF_RANGE: { severity: 'refuse', title: 'A number is outside its bounds' },
  OVERLAP: { severity: 'refuse', title: 'Two things stand in the same bytes of the file' },
  TRUNCATED: { severity: 'refuse', title: 'The file ends before something it should hold' },
  SIZE_LIMIT: {
    severity: 'refuse',
    title: 'The virtual size, or what comes out, is above the limit',
  },
  SIZE_MISMATCH: { severity: 'refuse', title: 'Two statements about a size contradict each other' },
  CONTENT_DAMAGED: {
    severity: 'refuse',
    title: 'Compressed content does not unpack to what it should',
  },
  REFCOUNT: {
    severity: 'refuse',
    title: 'Parts of the file are used that it counts as free, or more often than it counts',
  },
  COPIES_DIFFER: { severity: 'refuse', title: 'Two copies of a structure contradict each other' },

  // What stands in the guest's disk
  PARTITION_TABLE: {
    severity: 'refuse',
    title: 'The partition table contradicts itself or the disk',
  },

  // Archives
  ARCHIVE_MEMBER: {
    severity: 'refuse',
    title:
      'A member of the archive that may not be there: a link, a path, a second one of its name',
  },
  DESCRIPTOR_INVALID: { severity: 'refuse', title: 'A descriptor is not as its format wants it' },
  DIGEST_MISMATCH: { severity: 'refuse', title: 'A member is not what the manifest’s digest says' },

  // Bounds of the inspection itself
  LIMIT_REACHED: { severity: 'refuse', title: 'The inspection stopped at one of its own limits' },
  INSPECTION_FAILED: {
    severity: 'refuse',
    title: 'The inspection itself failed on this content, which is refused for it',
  },

  // Harmless, and worth knowing
  UNUSED_BYTES: { severity: 'info', title: 'Bytes of the file that nothing refers to' },
  OUT_OF_ORDER: {
    severity: 'info',
    title: 'Content stands before the tables that tell what it is; of a stream it was put aside',
  },
  NOT_PADDED: { severity: 'warn', title: 'The size is no whole number of sectors' },
  ODD: { severity: 'warn', title: 'Unusual, and harmless' },
} as const satisfies Record<string, { severity: Severity; title: string }>

export type FindingCode = keyof typeof FINDINGS
