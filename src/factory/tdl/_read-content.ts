/** Texts of files and commands: as they stand, in base64, or at an address. */
import { fileURLToPath } from 'node:url'
import { messageOf } from '../../base/failure.ts'
import { attributeOf, type Faults, textOf } from './_check.ts'
import { nameOf } from './_elements.ts'
import type { XmlElement } from './_xml.ts'
import type { ParseTdlOptions } from './parse-tdl.ts'
import type { TdlContent } from './tdl.ts'

/** What a `file:` address names is read now; what the web has is fetched when it is needed. */
export function readContent(
  element: XmlElement,
  options: ParseTdlOptions,
  faults: Faults,
): TdlContent {
  const text = textOf(element)
  const type = attributeOf(element, 'type') ?? 'raw'
  if (type === 'raw') return { type, text }
  if (type === 'base64') return { type, bytes: Buffer.from(text, 'base64') }
  if (!/^file:/i.test(text)) return { type: 'url', url: text }
  try {
    if (!options.readResource) throw new Error('no files were given with this template')
    return { type: 'base64', bytes: options.readResource(fileURLToPath(text)) }
  } catch (error) {
    faults.error(
      element.place,
      `<${element.name}> '${nameOf(element)}' cannot have what is at ${text}: ${messageOf(error)}`,
    )
    return { type: 'raw', text: '' }
  }
}
