/** The template by which an image is made: its own, or that of an image it is made of. */
import { Failure } from '../../base/failure.ts'
import type { ImageRow } from './_factory-tables.ts'
import type { Ground } from './_ground.ts'
import { TEMPLATE_FILES } from './_records.ts'
import type { Template } from '../template.ts'
import { type PackedFiles, unpackFiles } from '../template-files.ts'

/** Stages; a target image may be made of target images. */
const MAX_DEPTH = 20

export async function templateOf(
  { records, parseTemplate }: Pick<Ground, 'records' | 'parseTemplate'>,
  row: ImageRow,
): Promise<Template> {
  let at: ImageRow | undefined = row
  for (let depth = 0; at !== undefined && depth < MAX_DEPTH; depth++) {
    if (at.template !== null) {
      const kept = await records.readDocument(at.id, TEMPLATE_FILES)
      if (kept === undefined) return await parseTemplate({ text: at.template })
      const packed = JSON.parse(Buffer.from(kept).toString()) as PackedFiles
      return await parseTemplate({ text: at.template, files: unpackFiles(packed) })
    }
    at = at.parent_id === null ? undefined : await records.find(at.parent_id)
  }
  if (row.type === 'base') throw new Failure('TEMPLATE_INVALID', `image ${row.id} has no template`)
  return emptyTemplate(row.name ?? row.id)
}

/** Of an image that came as it is: nothing is done in it. */
function emptyTemplate(name: string): Template {
  return {
    kind: 'recipe',
    text: '',
    name,
    description: '',
    os: undefined,
    install: undefined,
    recipe: {
      file: 'template',
      resourceRoots: [],
      name,
      description: '',
      args: [],
      steps: [],
      tests: [],
      base: undefined,
      disk: undefined,
      clean: undefined,
      warnings: [],
      digest: '',
    },
    icicleCommand: null,
    secrets: [],
  }
}
