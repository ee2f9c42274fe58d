/**
 * The contract every OS builder keeps, as one suite. It builds once in peace, and then once for each call that the
 * builder makes of its job and each way in which a job ends early there.
 */
import assert from 'node:assert/strict'
import { mkdtemp, open, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import type { BuiltImage, OsBuilder } from '../factory/os-builder.ts'
import type { Template } from '../factory/template.ts'
import { findFaults } from '../schema/find-faults.ts'
import { type Break, breakableJob, Trace, WAYS } from './_breakable-job.ts'
import {
  checkPhases,
  checkSchema,
  checkSecrets,
  checkWrongOptions,
  type End,
  endOf,
  secretsIn,
} from './_part-rules.ts'
import { templateOf } from './template-of.ts'
import { clearContext } from './push-job.ts'

/** A builder to try, and what its opener knows of it. */
export interface OsBuilderUnderTest<Options = unknown> {
  readonly builder: OsBuilder<Options>
  /** Parameters by which it builds something small. */
  readonly options: Options
  /** What it builds. Default: a recipe without steps. */
  readonly template?: Template
  /** Parameters that it must not take. */
  readonly wrongOptions: readonly unknown[]
  /** Templates that it cannot build by. */
  readonly refused?: readonly Template[]
  /** What nobody may be told. */
  readonly secrets?: readonly string[]
  /** What is there now of all that it makes elsewhere. Left out: it makes nothing elsewhere. */
  readonly listElsewhere?: () => Promise<readonly string[]>
  readonly close?: () => Promise<void>
}

interface Tried extends End<BuiltImage> {
  readonly trace: Trace
}

/** Declares the suite for one builder. `open` is called once; it is given a directory that the suite removes. */
export function testOsBuilderContract<Options>(
  name: string,
  open: (directory: string) => Promise<OsBuilderUnderTest<Options>>,
): void {
  describe(`${name} keeps the contract of OS builders`, { timeout: 300_000 }, () => {
    let subject: OsBuilderUnderTest<Options>
    let directory = ''
    let calls: readonly string[] = []
    before(async () => {
      directory = await mkdtemp(join(tmpdir(), 'ingot-builder-'))
      subject = await open(directory)
    })
    after(async () => {
      await subject?.close?.()
      await rm(directory, { recursive: true, force: true })
    })

    const elsewhere = async () => (await subject.listElsewhere?.()) ?? []
    const attempt = async (broken?: Break): Promise<Tried> => {
      const workDir = await mkdtemp(join(directory, 'work-'))
      const trace = new Trace(broken)
      const { builder, options, template = templateOf() } = subject
      const job = breakableJob(trace, { options, template, workDir, cacheDir: directory })
      return { trace, ...(await endOf(builder.build(job), trace)) }
    }
    const checkTold = ({ trace, error }: Tried) => {
      const masked = secretsIn(subject.builder.options, subject.options)
      checkSecrets(trace, subject.secrets ?? [], { masked, error })
    }

    it('says what it is and what it takes', () => {
      const { builder, options } = subject
      assert.match(builder.name, /^[a-z][a-z0-9_-]*$/)
      assert.match(builder.summary, /[^.]$/)
      assert.ok(Number.isInteger(builder.concurrency) && builder.concurrency > 0)
      checkSchema(builder.options, 'its parameters')
      assert.deepEqual(findFaults(builder.options, options), [])
    })

    it('refuses what it cannot do, before it begins', () => {
      const { builder, options, wrongOptions, template = templateOf(), refused = [] } = subject
      checkWrongOptions(builder.options, wrongOptions)
      assert.equal(builder.refuses?.(template, options), undefined)
      for (const one of refused)
        assert.match(builder.refuses?.(one, options) ?? '', /\S/, `${one.name} is refused`)
    })

    it('makes a disk, tells how far it is, and holds nothing at the end', async () => {
      const tried = await attempt()
      if (tried.error !== undefined) throw tried.error
      calls = tried.trace.calls
      await checkBody(tried.result)
      checkPhases(tried.trace)
      checkTold(tried)
      assert.deepEqual(tried.trace.held, [])
      assert.deepEqual(await elsewhere(), [])
    })

    it('leaves nothing that is not held, wherever its job is cancelled, fails, or dies', async () => {
      assert.ok(calls.length > 0, 'it tells of no phase')
      for (const way of WAYS)
        for (const [at, call] of calls.entries()) {
          const where = `${way} at ${call}`
          const tried = await attempt({ way, at })
          const { trace, isDead, error, over } = tried
          if (way === 'fail') assert.ok(error !== undefined, `${where}: it fails`)
          if (way === 'die') assert.ok(isDead, `${where}: it waits for the call`)
          checkTold(tried)
          await checkClear(subject.builder, trace, where)
          assert.deepEqual(await elsewhere(), [], `${where}: nothing is left elsewhere`)
          trace.letGo()
          await over
        }
    })

    it('builds anew after all that', async () => {
      const { error } = await attempt()
      if (error !== undefined) throw error
    })

    it('clears away again what is gone, and lives with things that it does not know', async () => {
      for (const thing of [null, 'x', 7, [], {}, { kind: 'what nobody makes' }])
        assert.ok(Array.isArray((await subject.builder.clear?.([thing], clearContext())) ?? []))
    })
  })
}

/** A file of whole sectors that is what it says. */
async function checkBody(built: BuiltImage | undefined): Promise<void> {
  assert.ok(built)
  if (built.body === undefined) {
    assert.notDeepEqual(built.properties ?? {}, {}, 'properties say where a body is that stays')
    return
  }
  await using file = await open(built.body.path)
  const { size } = await file.stat()
  assert.ok(size > 0, 'there is something in the body')
  if (built.body.format === 'raw') return assert.equal(size % 512, 0)
  const { buffer } = await file.read(Buffer.alloc(4), 0, 4, 0)
  assert.equal(buffer.toString('latin1'), 'QFI\xfb')
}

/** What is held can be cleared away, and a second time. */
async function checkClear(
  builder: OsBuilder<never>,
  { held }: Trace,
  where: string,
): Promise<void> {
  if (held.length === 0) return
  assert.ok(builder.clear, `${where}: what it holds it can clear away`)
  for (const time of ['once', 'again'])
    assert.deepEqual(await builder.clear(held, clearContext()), [], `${where}: cleared ${time}`)
}
