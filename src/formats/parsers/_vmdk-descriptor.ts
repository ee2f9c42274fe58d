/**
 * The text that describes a VMDK: key lines, lines for the files that hold the disk (extents), and a
 * data base of lines that begin with `ddb.`. In front of a monolithic file it may name only itself.
 *
 *     # Disk DescriptorFile
 *     version=1
 *     CID=fffffffe
 *     parentCID=ffffffff
 *     createType="monolithicSparse"
 *     RW 20480 SPARSE "disk.vmdk"
 *     ddb.adapterType = "ide"
 *
 * Source: VMware, Virtual Disk Format 5.0, "The Descriptor File"; QEMU, block/vmdk.c.
 */
import type { FindingCode } from '../finding.ts'

export interface VmdkExtentLine {
  readonly access: string
  readonly sectors: number
  /** `SPARSE`, `FLAT`, `VMFS`... */
  readonly type: string
  /** The file that holds the extent, as the text names it. */
  readonly file: string | undefined
  /** Byte of the text where the line begins. */
  readonly at: number
}

/** Something wrong with the text, `at` a byte of it. */
export interface DescriptorFault {
  readonly code: FindingCode
  readonly at: number
  readonly found?: string
  readonly expected?: string
}

export interface VmdkDescriptor {
  readonly createType: string | undefined
  readonly extents: readonly VmdkExtentLine[]
  readonly faults: readonly DescriptorFault[]
}

interface Line {
  readonly text: string
  readonly at: number
}
type Fault = (code: FindingCode, line: Line, about?: Partial<DescriptorFault>) => void

const KEY_LINE = /^(\w[\w.]*)\s*=\s*(?:"([^"]*)"|([^"\s]*))$/
const EXTENT_LINE =
  /^(RW|RDONLY|NOACCESS)\s+(\d{1,15})\s+(\w+)(?:\s+"([^"]*)")?(?:\s+(\d{1,15}))?$/i
const FILE_KEYS = /^(changetrackpath|digestfilename|.*(sidecar|uri|path|file))/
const SECRET_KEYS = /encrypt|keysafe|datafilekey|cipher/
/** Extents that are part of the file the text stands in. */
const INSIDE = 'SPARSE'
/** No path, drive, protocol or option that some reader would follow out of the directory. */
const PLAIN_NAME = /^[^/\\:"\p{Cc}]{1,255}$/u
/** Shown of what stands in the text. */
const SHOWN = 200

/** Keys that are understood, and what they must say. */
const KEYS: Readonly<Record<string, (value: string) => FindingCode | undefined>> = {
  version: (value) => (value === '1' ? undefined : 'FORMAT_VERSION'),
  encoding: () => undefined,
  cid: (value) => (/^[0-9a-f]{1,8}$/i.test(value) ? undefined : 'DESCRIPTOR_INVALID'),
  parentcid: (value) => (/^f{8}$/i.test(value) ? undefined : 'PARENT'),
  isnativesnapshot: (value) => (value === 'no' ? undefined : 'PARENT'),
  createtype: () => undefined,
}
const REQUIRED = ['version', 'parentcid', 'createtype']

/**
 * Reads the text, and says of every line that is not understood or reaches outside why it must be
 * refused. `embedded`: it stands in the file that holds the disk, so one extent, `SPARSE` and with a
 * plain name, is that file itself; otherwise every extent is another file.
 */
export function parseVmdkDescriptor(
  text: string,
  { embedded = false }: { embedded?: boolean } = {},
): VmdkDescriptor {
  const faults: DescriptorFault[] = []
  const fault: Fault = (code, { text: found, at }, about) =>
    void faults.push({ code, at, found: JSON.stringify(found.slice(0, SHOWN)), ...about })
  const values = new Map<string, string>()
  const extents: VmdkExtentLine[] = []
  for (const line of linesOf(text)) {
    if (/[^\t\x20-\x7e\x80-\xff]/.test(line.text)) fault('DESCRIPTOR_INVALID', line)
    const [, key, quoted, plain] = KEY_LINE.exec(line.text) ?? []
    const extent = extentOf(line)
    if (line.text.startsWith('#')) checkComment(line, fault)
    else if (extent) {
      checkExtent(extent, line, embedded && extents.length === 0, fault)
      extents.push(extent)
    } else if (key !== undefined)
      readKey({ key: key.toLowerCase(), value: quoted ?? plain ?? '', line }, values, fault)
    else fault('UNKNOWN_FEATURE', line)
  }
  const whole = { text: '', at: 0 }
  for (const key of REQUIRED)
    if (!values.has(key))
      fault('DESCRIPTOR_INVALID', whole, { expected: `a line ${key}=`, found: 'none' })
  if (extents.length === 0)
    fault('DESCRIPTOR_INVALID', whole, { expected: 'a line for an extent', found: 'none' })
  return { createType: values.get('createtype'), extents, faults }
}

function* linesOf(text: string): Generator<Line> {
  for (const { 0: line, index } of text.matchAll(/[^\n]+/g)) {
    const trimmed = line.trim()
    if (trimmed !== '') yield { text: trimmed, at: index + line.indexOf(trimmed) }
  }
}

/** Some readers look for these anywhere in the text, and would believe a comment. */
function checkComment(line: Line, fault: Fault): void {
  if (/(CID|createType|parentFileNameHint)\s*=/i.test(line.text))
    fault('DESCRIPTOR_INVALID', line, { expected: 'no settings in comments' })
}

function extentOf({ text, at }: Line): VmdkExtentLine | undefined {
  const [, access, sectors, type, file] = EXTENT_LINE.exec(text) ?? []
  if (access === undefined || type === undefined) return undefined
  return { access, sectors: Number(sectors), type: type.toUpperCase(), file, at }
}

function checkExtent(extent: VmdkExtentLine, line: Line, mayBeItself: boolean, fault: Fault): void {
  const { access, type, file = '' } = extent
  const isItself = mayBeItself && type === INSIDE && PLAIN_NAME.test(file) && !/^\.+$/.test(file)
  if (!isItself)
    fault(file === '' ? 'UNKNOWN_FEATURE' : 'EXTERNAL_REFERENCE', line, {
      expected: 'no extent in another file',
    })
  else if (access.toUpperCase() === 'NOACCESS' || /\s[1-9]\d*$/.test(line.text))
    fault('DESCRIPTOR_INVALID', line, { expected: 'an extent to be read, from its start' })
}

function readKey(
  { key, value, line }: { key: string; value: string; line: Line },
  values: Map<string, string>,
  fault: Fault,
): void {
  if (values.has(key)) fault('DESCRIPTOR_INVALID', line, { expected: `one line ${key}=` })
  values.set(key, value)
  const name = key.replace(/^ddb\./, '')
  const check = Object.hasOwn(KEYS, key) ? KEYS[key] : undefined
  const code = check?.(value)
  if (code !== undefined) fault(code, line)
  else if (check !== undefined) return
  else if (/parent/.test(name) && !isNobody(value)) fault('PARENT', line)
  else if (SECRET_KEYS.test(name)) fault('ENCRYPTED', line)
  else if (FILE_KEYS.test(name)) fault('EXTERNAL_REFERENCE', line)
  else if (name === key || /filter/.test(name)) fault('UNKNOWN_FEATURE', line)
}

/** VirtualBox says of disks without a parent that its identifier is zero. */
function isNobody(value: string): boolean {
  return /^[0-]+$/.test(value)
}
