import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fromWireNamespace } from '../api/metadef-wire.ts'
import { namespaceSchema, type WireNamespace } from '../api/metadef-schemas.ts'
import type { Context } from '../base/context.ts'
import { Failure, isFailure } from '../base/failure.ts'
import type { Metadefs, Namespace } from '../metadefs/metadefs.ts'
import { findFaults } from '../schema/find-faults.ts'

/** Where the standard metadata definitions stand: beside the program. */
const STANDARD_METADEFS = join(import.meta.dirname, '../../metadefs')

/**
 * Reads namespaces from the YAML files of a directory.
 * Fails with CONFIG_INVALID, which names the file and every fault.
 */
async function readMetadefs(directory: string, now: Date): Promise<Namespace[]> {
  const { parse } = await import('yaml')
  const files = (await readdir(directory)).filter((file) => file.endsWith('.yaml')).toSorted()
  return await Promise.all(
    files.map(async (file) => {
      const text = await readFile(join(directory, file), 'utf8')
      const given: unknown = parse(text, { maxAliasCount: 100, merge: true })
      const faults = findFaults(namespaceSchema, given)
      if (faults.length > 0)
        throw new Failure(
          'CONFIG_INVALID',
          faults.map(({ path, message }) => `${file}: ${path.join('.')}: ${message}`).join('\n'),
        )
      const defaults = { visibility: 'public', protected: true } as const
      return fromWireNamespace({ ...defaults, ...(given as WireNamespace) }, null, now)
    }),
  )
}

/** Loads the standard metadata definitions where there are none at all yet. */
export async function loadStandardMetadefs(
  metadefs: Metadefs,
  { now, log }: Pick<Context, 'now' | 'log'>,
): Promise<void> {
  const [first] = await metadefs.list({
    viewer: { project: null, all: true },
    sort: { key: 'namespace', direction: 'asc' },
    limit: 1,
  })
  if (first !== undefined) return
  const namespaces = await readMetadefs(STANDARD_METADEFS, now())
  for (const namespace of namespaces)
    await metadefs.create(namespace).catch((error: unknown) => {
      if (!isFailure(error, 'DEFINITION_EXISTS')) throw error // another server was faster
    })
  log.info('metadefs.loaded', { namespaces: namespaces.length })
}
