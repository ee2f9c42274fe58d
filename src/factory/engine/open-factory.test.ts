import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { failsWith } from '../../testing/fails-with.ts'
import { noPostgres, openPostgres } from '../../testing/postgres.ts'
import {
  baseOrder,
  mockTemplate,
  openTestFactory,
  REQUESTER,
  type TestFactory,
} from '../../testing/test-factory.ts'
import { tempDir } from '../../testing/temp-dir.ts'
import type { FactoryEvent } from '../factory.ts'

const at = await tempDir()
const postgres = noPostgres ? undefined : await openPostgres()

const kinds: readonly {
  kind: string
  skip: string | false
  open: (name: string) => Promise<TestFactory>
}[] = [
  {
    kind: 'SQLite',
    skip: false,
    open: async (name) => await openTestFactory({ directory: at(`sqlite-${name}`) }),
  },
  {
    kind: 'PostgreSQL',
    skip: noPostgres,
    open: async (name) =>
      await openTestFactory({
        directory: at(`postgres-${name}`),
        database: { postgres: (await postgres?.createDatabase()) ?? '' },
      }),
  },
]

for (const { kind, skip, open } of kinds)
  describe(`the image factory on ${kind}`, { skip }, () => {
    it('makes base, target and provider image of one order', async () => {
      await using bench = await open('chain')
      const { factory } = bench
      const ordered = await factory.orderProvider({
        requester: REQUESTER,
        target: 'mockcloud',
        provider: 'mock-provider',
        credentials: { username: 'mock', password: 'very-secret' },
        template: mockTemplate('chain'),
        parameters: {},
        unknownParameters: 'refuse',
      })
      assert.equal(ordered.status, 'PENDING')
      const pushed = await bench.ended(ordered)
      assert.deepEqual(
        [pushed.status, pushed.error, pushed.percent, pushed.providerAccount],
        ['COMPLETE', null, 100, 'mock_user'],
      )
      const [provider, target, base] = await factory.list({})
      assert.deepEqual([provider?.type, target?.type, base?.type], ['provider', 'target', 'base'])
      assert.deepEqual(
        [provider?.parentId, target?.parentId, base?.parentId],
        [target?.id, base?.id, null],
      )
      assert.equal(target?.bodyId, base?.id)
      assert.equal((await bench.catalog.get(base?.id ?? ''))?.status, 'active')
      const icicle = await factory.readDocument(target?.id ?? '', 'icicle')
      assert.match(Buffer.from(icicle ?? []).toString(), /<icicle>/)
      assert.deepEqual(await factory.openArtifact(target?.id ?? '', AbortSignal.timeout(60_000)), {
        kind: 'disk',
        bodyId: base?.id,
        format: 'raw',
        name: 'chain',
      })
    })

    it('makes many at a time, also of one name', async () => {
      await using bench = await open('many')
      const orders = Array.from({ length: 12 }, async () => {
        const image = await bench.factory.orderBase(baseOrder({}, 'same'))
        return await bench.ended(image)
      })
      const statuses = (await Promise.all(orders)).map(({ status }) => status)
      assert.deepEqual(new Set(statuses), new Set(['COMPLETE']))
      assert.equal((await bench.factory.list({ name: 'same' })).length, 12)
    })

    it('tells what happens to an image, and its log, until its end', async () => {
      await using bench = await open('follow')
      const { factory } = bench
      const image = await factory.orderBase(baseOrder({ mock_console: 'hello\r\n' }))
      const events: FactoryEvent[] = []
      for await (const event of factory.follow(image.id, AbortSignal.timeout(60_000), 0))
        events.push(event)
      const statuses = events.flatMap((one) => (one.kind === 'image' ? [one.image.status] : []))
      assert.equal(statuses.at(-1), 'COMPLETE')
      const entries = events.flatMap((one) => (one.kind === 'log' ? [one.entry] : []))
      assert.deepEqual(
        entries.map((one) => one.sequence),
        entries.map((_, index) => index + 1),
      )
      assert.deepEqual(await factory.readLog(image.id), entries)
      const texts = entries.map(({ text }) => text)
      assert.deepEqual(texts, ['hello\r\n', 'making a mock image', 'storing the image', 'complete'])
      const rest = await factory.readLog(image.id, entries[1]?.sequence, 1)
      assert.deepEqual(rest, entries.slice(2, 3))
    })

    it('deletes an image with its body', async () => {
      await using bench = await open('delete')
      const { factory } = bench
      const image = await bench.ended(await factory.orderBase(baseOrder()))
      await factory.delete(image.id)
      for await (const event of factory.follow(image.id, AbortSignal.timeout(60_000)))
        if (event.kind === 'image') assert.match(event.image.status, /^DELET(ING|ED)$/)
      await assert.rejects(factory.get(image.id), failsWith('BUILD_NOT_FOUND'))
      assert.equal(await bench.catalog.get(image.id), undefined)
    })
  })

describe('the image factory', () => {
  it('refuses settings that name parts that there are not', async () => {
    const settings = { providers: { there: { target: 'no-such-cloud' } } }
    await assert.rejects(
      openTestFactory({ directory: at('settings'), settings }),
      failsWith('CONFIG_INVALID'),
    )
  })

  it('says which parts there are, and what they take', async () => {
    await using bench = await openTestFactory({ directory: at('parts'), works: false })
    const parts = bench.factory.parts()
    assert.deepEqual(
      parts.map(({ type, name }) => [type, name]),
      [
        ['os', 'mock'],
        ['cloud', 'mock'],
      ],
    )
    assert.ok(parts[1]?.aliases.includes('mocksphere'))
  })

  it('does not do more builds at a time than its builder may', async () => {
    await using bench = await openTestFactory({
      directory: at('concurrency'),
      settings: { concurrency: { mock: 1 } },
    })
    const { factory } = bench
    const first = await factory.orderBase(baseOrder({ mock_wait: 600 }))
    const second = await factory.orderBase(baseOrder())
    for await (const event of factory.follow(first.id, AbortSignal.timeout(60_000), 0))
      if (event.kind === 'log') break
    assert.equal((await factory.get(second.id)).status, 'NEW')
    await factory.cancel(first.id)
    assert.equal((await bench.ended(second)).status, 'COMPLETE')
    assert.equal((await bench.ended(first)).error, 'cancelled')
  })
})
