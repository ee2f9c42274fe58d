/** What is known of the guest in a body, kept beside it, so that nobody has to open it again to know which system it is. */
import { isFailure } from '../../base/failure.ts'
import type { Facts, Family } from '../../remotes/facts.ts'
import type { BodyParts } from './body.ts'

const KIND = 'facts'
const FAMILIES: readonly (string | undefined)[] = ['debian', 'redhat', 'suse', 'alpine', 'arch']

export async function readKeptFacts(
  { catalog }: Pick<BodyParts, 'catalog'>,
  imageId: string,
): Promise<Facts | undefined> {
  const bytes = await catalog.readAttachment(imageId, KIND)
  if (bytes === undefined) return undefined
  const kept = JSON.parse(Buffer.from(bytes).toString()) as Record<keyof Facts, string | undefined>
  const { distro = '', version = '', codename = '', prettyName = '', architecture = '' } = kept
  const family = FAMILIES.includes(kept.family) ? (kept.family as Family) : undefined
  return { distro, family, version, codename, prettyName, architecture }
}

/**
 * Keeps them, and tells them in the image's properties by the names that clouds know.
 * Source: the "useful image properties" of the Image API: `os_distro`, `os_version`, `architecture`.
 */
export async function keepFacts(
  { database, catalog, images }: Pick<BodyParts, 'database' | 'catalog' | 'images'>,
  imageId: string,
  facts: Facts,
): Promise<void> {
  const { distro, version, architecture } = facts
  const told = { os_distro: distro, os_version: version, architecture }
  const known = Object.fromEntries(Object.entries(told).filter(([, value]) => value !== ''))
  try {
    await images.change(imageId, ({ properties }) => ({ properties: { ...known, ...properties } }))
    await database.write(async (tx) => {
      if (await catalog.get(imageId, tx))
        await catalog.writeAttachment(tx, imageId, KIND, Buffer.from(JSON.stringify(facts)))
    })
  } catch (error) {
    if (!isFailure(error, 'IMAGE_NOT_FOUND')) throw error // it was deleted meanwhile; whoever needs it says so
  }
}
