import { DOMParser, type Element } from '@xmldom/xmldom'
import { messageOf } from '../base/failure.ts'
import type { FindingList } from './_findings.ts'
import { isPlainName } from './tar.ts'

/** One file that an OVF descriptor names. */
export interface OvfFile {
  readonly id: string
  readonly href: string
  /** Bytes, when the descriptor says so. */
  readonly size: number | undefined
}

/** One disk of the machine; without a file it is empty. */
export interface OvfDisk {
  readonly fileRef: string
  /** Bytes the guest sees; undefined when its unit is none that we know. */
  readonly capacity: number | undefined
}

export interface OvfDescriptor {
  readonly files: readonly OvfFile[]
  readonly disks: readonly OvfDisk[]
}

const MAX_FILES = 64

/**
 * What an OVF descriptor says about files and disks. No document type is read, so there are no entities
 * to expand and none that name other files; names of files must be plain. What is wrong is noted.
 * Source: DMTF DSP0243, 7 (package) and 9.1 (disks).
 */
export function parseOvf(
  bytes: Uint8Array,
  at: number,
  findings: FindingList,
): OvfDescriptor | undefined {
  const text = textOf(bytes)
  const fault = (found: string) => findings.note('DESCRIPTOR_INVALID', { at, found })
  if (text === undefined || /<!(DOCTYPE|ENTITY)/i.test(text)) {
    fault(text === undefined ? 'a descriptor that is not UTF-8' : 'a document type')
    return undefined
  }
  const root = parseXml(text, fault)
  if (root === undefined) return undefined
  if (root.localName !== 'Envelope') fault(`an element ${root.localName} instead of Envelope`)
  const files = elementsOf(root, 'References', 'File').map((file) => readFile(file, at, findings))
  const disks = elementsOf(root, 'DiskSection', 'Disk').map((disk) => readDisk(disk, at, findings))
  if (files.length > MAX_FILES) fault(`${files.length} files`)
  for (const { fileRef } of disks)
    if (fileRef && !files.some(({ id }) => id === fileRef))
      fault(`a disk of the file ${JSON.stringify(fileRef)}, which is not listed`)
  if (hasTwice(files.map(({ id }) => id))) fault('two files with one id')
  if (hasTwice(files.map(({ href }) => href))) fault('two files with one name')
  if (hasTwice(disks.flatMap(({ fileRef }) => fileRef || []))) fault('two disks in one file')
  return { files: files.slice(0, MAX_FILES), disks }
}

function hasTwice(values: readonly string[]): boolean {
  return new Set(values).size < values.length
}

function textOf(bytes: Uint8Array): string | undefined {
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes)
    return text.includes('\0') ? undefined : text
  } catch {
    return undefined
  }
}

function parseXml(text: string, fault: (found: string) => void): Element | undefined {
  try {
    const document = new DOMParser({ onError: stopOnError }).parseFromString(text, 'text/xml')
    return document.documentElement ?? undefined
  } catch (error) {
    fault(`XML that is not well-formed: ${messageOf(error).split('\n')[0]}`)
    return undefined
  }
}

/** Warnings as well: what the parser makes of them is a guess. */
function stopOnError(_level: unknown, message: string): never {
  throw new Error(message)
}

/** The elements of this name in the sections of that name. */
function elementsOf(root: Element, section: string, name: string): Element[] {
  return childrenOf(root, section).flatMap((element) => childrenOf(element, name))
}

function childrenOf(parent: Element, name: string): Element[] {
  const found: Element[] = []
  for (let child = parent.firstChild; child !== null; child = child.nextSibling) {
    const element = child as Element
    if (element.nodeType === 1 && element.localName === name) found.push(element)
  }
  return found
}

/** An attribute, with whatever prefix it has. */
function attribute(element: Element, name: string): string | undefined {
  for (let index = 0; index < element.attributes.length; index++) {
    const item = element.attributes.item(index)
    if (item?.localName === name) return item.value
  }
  return undefined
}

function readFile(element: Element, at: number, findings: FindingList): OvfFile {
  const href = attribute(element, 'href') ?? ''
  const id = attribute(element, 'id') ?? ''
  if (!isPlainName(href))
    findings.note('EXTERNAL_REFERENCE', { at, found: `a file at ${JSON.stringify(href)}` })
  const compression = attribute(element, 'compression')
  if (compression !== undefined && compression !== 'identity')
    findings.note('UNKNOWN_FEATURE', { at, found: `compression ${compression} of ${href}` })
  if (attribute(element, 'chunkSize') !== undefined)
    findings.note('UNKNOWN_FEATURE', { at, found: `${href} in chunks` })
  const size = attribute(element, 'size')
  if (size !== undefined && !/^\d{1,15}$/.test(size))
    findings.note('DESCRIPTOR_INVALID', { at, found: `a size of ${JSON.stringify(size)}` })
  return { id, href, size: size === undefined ? undefined : Number(size) }
}

function readDisk(element: Element, at: number, findings: FindingList): OvfDisk {
  const parent = attribute(element, 'parentRef')
  if (parent !== undefined)
    findings.note('PARENT', { at, found: `a disk on top of ${JSON.stringify(parent)}` })
  const units = attribute(element, 'capacityAllocationUnits') ?? 'byte'
  const power = /^byte(?:\s*\*\s*2\s*\^\s*(\d{1,2}))?$/.exec(units.trim())
  const capacity = attribute(element, 'capacity') ?? ''
  const isNumber = /^\d{1,15}$/.test(capacity)
  const bytes = power && isNumber ? Number(capacity) * 2 ** Number(power[1] ?? 0) : undefined
  return { fileRef: attribute(element, 'fileRef') ?? '', capacity: bytes }
}
