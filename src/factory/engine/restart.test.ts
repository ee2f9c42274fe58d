import assert from 'node:assert/strict'
import { mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { Failure } from '../../base/failure.ts'
import { Type } from '../../schema/type.ts'
import { failsWith } from '../../testing/fails-with.ts'
import { baseOrder, openTestFactory, type TestFactory } from '../../testing/test-factory.ts'
import { tempDir } from '../../testing/temp-dir.ts'
import type { Json } from '../../tasks/task.ts'
import { mockBuilder } from '../builders/mock.ts'
import { defineCloudTarget } from '../cloud-target.ts'
import type { FactoryImage } from '../factory-image.ts'
import { defineOsBuilder, type Job } from '../os-builder.ts'

const at = await tempDir()

/** A builder that makes things in a cloud, which is a set of names, and is there still when a server is not. */
function cloudBuilder(cloud: Set<string>, build: (job: Job) => Promise<void>) {
  let cannotClear: string | undefined
  return {
    refuseToClear: (reason: string | undefined) => {
      cannotClear = reason
    },
    builder: defineOsBuilder({
      name: 'cloud',
      summary: 'for tests',
      options: Type.Object({}),
      concurrency: 2,
      build: async (job) => {
        const name = `${job.image.id}-${job.attempt}`
        await job.holdings.add({ name })
        cloud.add(name)
        await build(job)
        for (const thing of job.holdings.all) cloud.delete(nameOf(thing))
        return {}
      },
      clear: async (things) => {
        if (cannotClear !== undefined) throw new Failure('CLOUD_AWAY', cannotClear)
        for (const thing of things) cloud.delete(nameOf(thing))
        return []
      },
    }),
  }
}

function nameOf(thing: Json): string {
  const { name } = thing as { readonly name: string } // as it was added above
  return name
}

/** Until its task is aborted; says when it has begun. */
function waiting() {
  const begun = Promise.withResolvers<void>()
  const wait = async ({ context: { signal } }: Job) => {
    begun.resolve()
    await new Promise((_resolve, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason))
    })
  }
  return { begun: begun.promise, wait }
}

async function open(directory: string, builder: ReturnType<typeof cloudBuilder>['builder']) {
  return await openTestFactory({ directory, builders: [builder, mockBuilder] })
}

async function order({ factory }: TestFactory): Promise<FactoryImage> {
  return await factory.orderBase({ ...baseOrder(), builder: 'cloud' })
}

describe('when its server ends', () => {
  it('a stage is begun anew by the next one, which removes what was made', async () => {
    const cloud = new Set<string>()
    const first = waiting()
    const before = await open(at('again'), cloudBuilder(cloud, first.wait).builder)
    const image = await order(before)
    await first.begun
    await before[Symbol.asyncDispose]()
    assert.equal(cloud.size, 1)
    let earlier = 0
    const next = cloudBuilder(cloud, async () => {
      earlier = cloud.size - 1
    })
    await using after = await open(at('again'), next.builder)
    const ended = await after.ended(image)
    assert.deepEqual([ended.status, ended.attempts, earlier, cloud.size], ['COMPLETE', 2, 0, 0])
    const log = (await after.factory.readLog(image.id)).map(({ text }) => text)
    assert.ok(log.includes('begun anew: attempt 2'))
  })

  it('what it worked in is removed by the next one', async () => {
    mkdirSync(join(at('works'), 'work', '.job.ingot-1-1-j1'), { recursive: true })
    await using after = await openTestFactory({ directory: at('works') })
    assert.deepEqual(readdirSync(after.workDirectory), [])
  })

  it('a stage that no server survives fails at last, and says so', async () => {
    const cloud = new Set<string>()
    const directory = at('thrice')
    let image: FactoryImage | undefined
    for (let attempt = 1; attempt <= 3; attempt++) {
      const { begun, wait } = waiting()
      const dying = await openTestFactory({
        directory,
        builders: [cloudBuilder(cloud, wait).builder],
      })
      image ??= await order(dying)
      await begun
      await kill(dying, image.id)
    }
    await using after = await open(directory, cloudBuilder(cloud, async () => {}).builder)
    const ended = await after.ended(image ?? assert.fail())
    assert.equal(ended.status, 'FAILED')
    assert.match(ended.error ?? '', /given up after 3 attempts/)
    assert.equal(cloud.size, 0)
  })

  it('an image that waited is made by the next one', async () => {
    const directory = at('waited')
    const before = await openTestFactory({ directory, works: false })
    const image = await before.factory.orderBase(baseOrder())
    await before[Symbol.asyncDispose]()
    await using after = await openTestFactory({ directory })
    assert.equal((await after.ended(image)).status, 'COMPLETE')
  })
})

describe('when the next server does not have the part that is at work', () => {
  it('a stage is cancelled all the same, and what it made is told', async () => {
    const { begun, wait } = waiting()
    const before = await open(at('part'), cloudBuilder(new Set(), wait).builder)
    const image = await order(before)
    await begun
    await before[Symbol.asyncDispose]()
    await using after = await openTestFactory({ directory: at('part') })
    const { factory } = after
    await factory.cancel(image.id)
    const { status, error } = await after.ended(image)
    assert.deepEqual([status, error], ['FAILED', 'cancelled'])
    const [left] = await factory.leftovers()
    assert.deepEqual([left?.part, left?.thing], ['builder/cloud', { name: `${image.id}-1` }])
    assert.match(left?.reason ?? '', /no OS builder 'cloud'/)
    await assert.rejects(factory.retry(image.id), failsWith('PART_UNKNOWN'))
  })

  it('and so is a push, though nobody knows which of its credentials are secret', async () => {
    const { begun, wait } = waiting()
    const target = defineCloudTarget({
      name: 'gone',
      summary: 'for tests',
      options: Type.Object({}),
      provider: { options: Type.Object({}), credentials: Type.Object({ password: Type.String() }) },
      format: () => 'raw',
      push: async (job) => {
        await wait(job)
        return { identifier: 'never' }
      },
    })
    const before = await openTestFactory({ directory: at('push'), targets: [target] })
    const where = { target: 'gone', provider: 'there', credentials: { password: 'right-password' } }
    const image = await before.factory.orderProvider({ ...baseOrder(), ...where })
    await begun
    await before[Symbol.asyncDispose]()
    await using after = await openTestFactory({ directory: at('push') })
    await after.factory.cancel(image.id)
    const { status, error } = await after.ended(image)
    assert.deepEqual([status, error], ['FAILED', 'cancelled'])
  })
})

/** Ends a server as if it had been killed: its task looks as when it was at work. */
async function kill(bench: TestFactory, imageId: string): Promise<void> {
  const tasks = await bench.ledger.list({ subject: `factory/${imageId}`, hidden: true })
  const [task] = tasks
  assert.ok(task)
  const { database } = bench
  const holder = await database.write(async (tx) => {
    const tables = tx.as<{
      tasks: { id: string; holder: string | null; attempts: number; updated_at: number }
    }>()
    const row = await tables
      .selectFrom('tasks')
      .select(['holder', 'attempts'])
      .where('id', '=', task.id)
      .executeTakeFirstOrThrow()
    // A predecessor of the next server holds it from now on, so that the end of this one does not give it back; long ago,
    // so that it need not rest.
    await tables
      .updateTable('tasks')
      .set({ holder: 'test/dead', updated_at: 0 })
      .where('id', '=', task.id)
      .execute()
    return row
  })
  assert.ok(holder.attempts >= 1)
  await bench[Symbol.asyncDispose]()
}

describe('when a command dies beside a server', () => {
  it('its directory is removed by the next stage that is undone', async () => {
    const failing = cloudBuilder(new Set(), async () => {
      throw new Failure('BUILD_FAILED', 'as it was told')
    })
    await using opened = await open(at('beside'), failing.builder)
    mkdirSync(join(opened.workDirectory, '.job.ingot-999999999-1-j1'))
    const { status } = await opened.ended(await order(opened))
    assert.equal(status, 'FAILED')
    assert.deepEqual(readdirSync(opened.workDirectory), [])
  })
})

describe('what cannot be removed', () => {
  it('is listed with the reason, and tried again', async () => {
    const cloud = new Set<string>()
    const failing = cloudBuilder(cloud, async () => {
      throw new Failure('BUILD_FAILED', 'no luck')
    })
    failing.refuseToClear('the cloud is away')
    await using bench = await open(at('left'), failing.builder)
    const { factory } = bench
    const image = await bench.ended(await order(bench))
    assert.equal(image.error, 'no luck')
    const left = {
      imageId: image.id,
      part: 'builder/cloud',
      thing: { name: `${image.id}-1` },
      reason: 'the cloud is away',
    }
    assert.deepEqual(await factory.leftovers(), [left])
    assert.deepEqual(await factory.reap(), [left])
    await factory.delete(image.id)
    failing.refuseToClear(undefined)
    assert.deepEqual(await factory.reap(image.id), [])
    assert.deepEqual([await factory.leftovers(), cloud.size], [[], 0])
  })
})
