import assert from 'node:assert/strict'
import { it } from 'node:test'
import { openDatabaseKinds } from '../testing/database-kinds.ts'
import { bareImage, openTestCatalog } from '../testing/test-catalog.ts'
import type { CatalogTables } from './_catalog-tables.ts'
import { countImages } from './_catalog-counts.ts'

const { kinds } = await openDatabaseKinds()

for (const { kind, skip, address } of kinds)
  it(
    `images in ${kind} are counted by status and visibility, however many at a time`,
    { skip },
    async () => {
      await using opened = await openTestCatalog(await address())
      const { database, catalog } = opened
      assert.deepEqual(await catalog.counts(), [])
      const wanted = [
        { status: 'active', visibility: 'private', count: 5 },
        { status: 'active', visibility: 'public', count: 1 },
        { status: 'queued', visibility: 'private', count: 3 },
        { status: 'saving', visibility: 'shared', count: 2 },
      ] as const
      let made = 0
      await database.write(async (tx) => {
        for (const { count, ...fields } of wanted)
          for (let at = 0; at < count; at++)
            await catalog.insert(tx, bareImage({ id: String((made += 1)), ...fields }))
      })
      assert.deepEqual(await catalog.counts(), wanted)
      for (const window of [1, 2, 3, 5, 11, 12])
        assert.deepEqual(await countImages(database.read<CatalogTables>(), window), wanted)
    },
  )
