import { MiB } from '../../base/units.ts'
import { Recent } from '../../bytes/recent.ts'
import type { FactoryParts } from './factory-parts.ts'
import type { Template } from '../template.ts'

/** Characters of all that is kept: most builds are by the few templates that everybody uses. */
const MOST = MiB

/** Reads a template once for its order and its stages. Those that come with files are read each time. */
export function rememberTemplates(
  parseTemplate: FactoryParts['parseTemplate'],
): FactoryParts['parseTemplate'] {
  const known = new Recent<string, Template>(MOST)
  return async (given) => {
    const { text, files = {} } = given
    const isKept = text.length < MOST && Object.keys(files).length === 0
    const found = isKept ? known.get(text) : undefined
    if (found) return found
    const template = await parseTemplate(given)
    if (isKept) known.set(text, template, text.length)
    return template
  }
}
