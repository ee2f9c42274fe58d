import assert from 'node:assert/strict'
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { Failure } from '../../base/failure.ts'
import { failsWith } from '../../testing/fails-with.ts'
import {
  baseOrder,
  mockTemplate,
  openTestFactory,
  REQUESTER,
  type TestFactory,
} from '../../testing/test-factory.ts'
import { tempDir } from '../../testing/temp-dir.ts'
import type { JsonObject } from '../factory-image.ts'
import { defineOsBuilder, type Job } from '../os-builder.ts'
import { Type } from '../../schema/type.ts'
import { mockBuilder } from '../builders/mock.ts'

const at = await tempDir()

/** A builder whose work each test gives. */
let work: (job: Job) => Promise<void> = async () => {}
const scripted = defineOsBuilder({
  name: 'scripted',
  summary: 'for tests',
  options: Type.Object({}),
  concurrency: 2,
  build: async (job) => {
    await work(job)
    return {}
  },
})

const bench: TestFactory = await openTestFactory({
  directory: at('stages'),
  builders: [mockBuilder, scripted],
})
after(() => bench[Symbol.asyncDispose]())
const { factory } = bench

function chain(parameters: JsonObject) {
  return {
    requester: REQUESTER,
    target: 'mock',
    provider: 'anywhere',
    credentials: { password: 'provider-password' },
    template: mockTemplate(),
    parameters,
    unknownParameters: 'refuse' as const,
  }
}

async function build(given: (job: Job) => Promise<void>, parameters: JsonObject = {}) {
  work = given
  const order = { ...baseOrder(parameters), builder: 'scripted' }
  return await bench.ended(await factory.orderBase(order))
}

/** A phase that goes on until it is stopped. */
async function slow(job: Job): Promise<void> {
  await job.phase({ name: 'waiting', from: 0, to: 50 }, async ({ signal }) => {
    await new Promise((_resolve, reject) => {
      signal.addEventListener('abort', () => reject(new Error('stopped')))
    })
  })
}

async function logOf(id: string): Promise<string> {
  return (await factory.readLog(id)).map(({ text }) => text).join('\n')
}

describe('a stage', () => {
  it('that fails says why, and fails what waits for it', async () => {
    const image = await bench.ended(await factory.orderProvider(chain({ mock_fail: 'no luck' })))
    const target = await factory.get(image.parentId ?? '')
    const base = await factory.get(target.parentId ?? '')
    assert.deepEqual([base.status, base.error], ['FAILED', 'no luck'])
    assert.deepEqual(
      [target.status, target.error],
      ['FAILED', `its base image ${base.id} failed: no luck`],
    )
    assert.deepEqual(
      [image.status, image.error],
      ['FAILED', `its target image ${target.id} failed`],
    )
    assert.equal(await bench.catalog.get(base.id), undefined)
  })

  it('is begun again from the one that failed, with those that failed because of it', async () => {
    let isLucky = false
    work = async () => {
      if (!isLucky) throw new Failure('BUILD_FAILED', 'no luck')
    }
    const order = {
      requester: REQUESTER,
      target: 'mock',
      template: mockTemplate(),
      builder: 'scripted',
      parameters: {},
      unknownParameters: 'refuse' as const,
    }
    const target = await bench.ended(await factory.orderTarget(order))
    assert.equal(target.status, 'FAILED')
    isLucky = true
    await factory.retry(target.parentId ?? '')
    const again = await bench.ended(target)
    assert.deepEqual([again.status, again.error], ['COMPLETE', null])
    await assert.rejects(factory.retry(target.id), failsWith('BUILD_STATE'))
  })

  it('needs its credentials again to be begun again', async () => {
    const image = await bench.ended(
      await factory.orderProvider(chain({ mock_push_fail: 'no luck' })),
    )
    assert.equal(image.error, 'no luck')
    const again = await factory.retry(image.id, { credentials: { password: 'provider-password' } })
    assert.equal(again.parentId, image.parentId)
    assert.equal((await bench.ended(again)).error, 'no luck')
    assert.equal((await factory.get(image.parentId ?? '')).attempts, 1)
  })

  it('is cancelled with what waits for it, and what it made is removed', async () => {
    const image = await factory.orderProvider(chain({ mock_wait: 600, mock_hold: 2 }))
    const target = await factory.get(image.parentId ?? '')
    const baseId = target.parentId ?? ''
    for await (const event of factory.follow(baseId, AbortSignal.timeout(60_000), 0))
      if (event.kind === 'log' && event.entry.text === 'making a mock image') break
    const things = join(bench.cacheDirectory, 'mock-things')
    assert.equal(readdirSync(things).length, 2)
    await factory.cancel(baseId)
    const base = await bench.ended(await factory.get(baseId))
    assert.deepEqual([base.status, base.error], ['FAILED', 'cancelled'])
    assert.equal((await bench.ended(target)).error, `its base image ${baseId} was cancelled`)
    assert.equal(readdirSync(things).length, 0)
    assert.deepEqual(await factory.leftovers(), [])
    await assert.rejects(factory.cancel(baseId), failsWith('BUILD_STATE'))
  })

  it('is cancelled while it waits for another one', async () => {
    const image = await factory.orderProvider(chain({ mock_wait: 600 }))
    assert.equal((await factory.cancel(image.id)).error, 'cancelled')
    const target = await factory.get(image.parentId ?? '')
    assert.equal(target.status, 'PENDING')
    await factory.cancel(target.parentId ?? '')
    assert.equal((await bench.ended(target)).status, 'FAILED')
  })

  it('fails when a phase or the whole takes longer than it may', async () => {
    const byPhase = await build(slow, { timeouts: { waiting: 1 } })
    assert.equal(byPhase.error, 'waiting: not done after 1 s')
    const byAll = await build(slow, { timeout: 1 })
    assert.match(byAll.error ?? '', /^base image .* not done after 1 s$/)
    const timeline = await factory.readDocument(byPhase.id, 'timeline')
    assert.match(Buffer.from(timeline ?? []).toString(), /"error": "waiting: not done after 1 s"/)
  })

  it('tells a percentage that never goes back, and reaches 100 with its end only', async () => {
    const told: number[] = []
    const image = await build(async (job) => {
      await job.phase({ name: 'one', from: 0, to: 60 }, async ({ tell }) => {
        tell(0.5)
        told.push(job.image.percent)
        tell(0.2)
        told.push(job.image.percent)
      })
      await job.phase({ name: 'two', from: 20, to: 100 }, async () => {
        told.push(job.image.percent)
      })
      told.push(job.image.percent)
    })
    assert.deepEqual(told, [30, 30, 60, 99])
    assert.equal(image.percent, 100)
  })

  it('never shows a secret, however it is told', async () => {
    const secret = 'hunter2-sesame'
    const image = await build(async (job) => {
      job.addSecret(secret)
      job.log.event(`an event with ${secret}`)
      job.log.console(`console with ${secret.slice(0, 6)}`)
      job.log.console(`${secret.slice(6)} and more`)
      await job.setProperties({ url: `https://user:${secret}@host` })
      await job.phase({ name: `asking with ${secret}`, from: 0, to: 1 }, async () => {})
      throw new Failure('CLOUD_DENIED', `refused ${secret}`, { details: { secret } })
    })
    const shown = JSON.stringify(image) + (await logOf(image.id))
    assert.ok(!shown.includes(secret), shown)
    assert.equal(image.error, 'refused ***')
    assert.match(await logOf(image.id), /console with \*\*\* and more/)
    const timeline = await factory.readDocument(image.id, 'timeline')
    assert.ok(
      !Buffer.from(timeline ?? [])
        .toString()
        .includes(secret),
    )
  })

  it('keeps secret parameters out of the record, and forgets them with its end', async () => {
    const image = await bench.ended(
      await factory.orderBase(baseOrder({ mock_secret: 'a-secret-parameter' })),
    )
    assert.equal(image.parameters['mock_secret'], '***')
    assert.match(await logOf(image.id), /the secret is \*\*\*/)
    const rows = await bench.database
      .read<{ factory_secrets: { image_id: string } }>()
      .selectFrom('factory_secrets')
      .select('image_id')
      .execute()
    assert.ok(!rows.some((row) => row.image_id === image.id))
  })

  it('leaves no directory behind', async () => {
    let directory = ''
    await build(async ({ workDir }) => {
      directory = workDir
      assert.ok(existsSync(workDir))
      throw new Error('a bug')
    })
    assert.ok(!existsSync(directory))
    assert.deepEqual(readdirSync(bench.workDirectory), [])
  })

  it('says of a bug only that there is one', async () => {
    const image = await build(async () => {
      throw new TypeError('undefined is not a function')
    })
    assert.equal(image.error, 'internal error, see the log')
  })

  it('of a log that is too long keeps the beginning and the end', async () => {
    const image = await build(async ({ log }) => {
      log.event('the beginning')
      for (let line = 0; line < 40; line++) {
        log.console(`${line}`.padEnd(32_000, '.'))
        log.event(`line ${line}`)
      }
      log.event('the end')
    })
    const entries = await factory.readLog(image.id, 0, 10_000)
    const size = entries.reduce((sum, { text }) => sum + text.length, 0)
    assert.ok(size <= 1024 * 1024 + 200, `${size}`)
    const texts = entries.map(({ text }) => text)
    assert.ok(texts.includes('the beginning') && texts.includes('the end'))
    assert.equal(texts.filter((text) => /bytes of the log were dropped/.test(text)).length, 1)
  })
})
