import type { BodyParts } from '../body/body.ts'
import { DIGEST } from '../body/_body-digest.ts'
import { describeBody } from '../body/_describe-body.ts'
import { openBody } from '../body/open-body.ts'
import { type ReadGuestOptions, readPackagesOf } from '../body/read-packages.ts'
import { fillBody, removeBody } from '../body/store-body.ts'
import type { ImportOrder } from '../factory.ts'
import type { ImportedImage } from '../engine/factory-parts.ts'
import { toImportedTemplate } from './_imported-template.ts'

export interface ImportParts extends BodyParts, ReadGuestOptions {
  /** Of Ingot. */
  readonly version: string
}

/** For copies that nothing asks for: an image whose root cannot be told names it by this parameter. */
const ROOT = 'root_file_system'

/**
 * Takes an image in, of any format that can be read, as the raw golden of a base image: it is inspected, unpacked and
 * stored in one pass. Which system it is it says itself, in its files; a template is made up from that.
 *
 * Fails as an upload does (IMAGE_UNSAFE, IMAGE_UNREADABLE, QUOTA_EXCEEDED, …), and with NO_OPERATING_SYSTEM,
 * SEVERAL_OPERATING_SYSTEMS, FILE_SYSTEM_ENCRYPTED; then nothing is left.
 */
export async function importImage(
  parts: ImportParts,
  order: ImportOrder & { readonly imageId: string },
  signal: AbortSignal,
): Promise<ImportedImage> {
  const { imageId, name = null, requester, content, parameters } = order
  const context = { ...parts.context, signal }
  // The record has to name a format; that anything may come is said by `requireMatch`.
  const taking = { convertTo: 'raw', decompress: true, requireMatch: false, alsoHash: DIGEST }
  const stored = { stream: content, size: undefined, taking, diskFormat: 'qcow2' }
  await fillBody(parts, { imageId, name, requester, signal }, stored)
  try {
    await using body = await openBody(parts, imageId, signal)
    const root = parameters[ROOT]
    const reading = { ...parts, ...(typeof root === 'string' && { rootFileSystem: root }) }
    const { facts, packages } = await readPackagesOf(body, reading, context)
    const called = name ?? [facts.distro, facts.version].filter((one) => one !== '').join('-')
    const described = await describeBody(
      parts,
      body,
      { name: called, madeBy: 'import', facts, packages, parameters, version: parts.version },
      signal,
    )
    return { ...described, name: called, template: toImportedTemplate(called, facts) ?? null }
  } catch (error) {
    await removeBody(parts, imageId, new AbortController().signal)
    throw error
  }
}
