/**
 * The contract every cloud target keeps, as one suite. It pushes once in peace, and then once for each call that the
 * target makes of its job and each way in which a job ends early there.
 */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { MiB } from '../base/units.ts'
import type { CloudTarget, Provider, Pushed, PushedDisk } from '../factory/cloud-target.ts'
import { viewFormatOf } from '../formats/views.ts'
import type { Facts } from '../remotes/facts.ts'
import { findFaults } from '../schema/find-faults.ts'
import { type Break, breakableDisk, breakableJob, Trace, WAYS } from './_breakable-job.ts'
import {
  checkPhases,
  checkSchema,
  checkSecrets,
  checkWrongOptions,
  endOf,
  secretsIn,
} from './_part-rules.ts'
import { clearContext } from './push-job.ts'
import { factoryImage } from './factory-image.ts'
import { openTestDisk } from './pushed-disk.ts'
import { recipeOf } from './recipe-text.ts'
import { makeSparseDisk } from './sparse-disk.ts'

/** A target to try, and what its opener knows of it. */
export interface CloudTargetUnderTest<
  Options = unknown,
  ProviderOptions = unknown,
  Credentials = unknown,
> {
  readonly target: CloudTarget<Options, ProviderOptions, Credentials>
  readonly options: Options
  /** Parameters that it must not take: by their shape, or because they do not go together. */
  readonly wrongOptions: readonly unknown[]
  /** Where it pushes to: empty, and nobody else's. Left out for a target that does not push. */
  readonly provider?: Provider<ProviderOptions, Credentials>
  /** What nobody may be told. */
  readonly secrets?: readonly string[]
  /** What is there now of all that it pushes. Left out: nobody can tell. */
  readonly listElsewhere?: () => Promise<readonly string[]>
  readonly close?: () => Promise<void>
}

const DISK_SIZE = 4 * MiB
const GUESTS: readonly Facts[] = [
  ['debian', 'debian', '12', 'bookworm'],
  ['rocky', 'redhat', '9.4', ''],
  ['unknown', undefined, '', ''],
].map(([distro = '', family, version = '', codename = '']) => ({
  distro,
  family: family as Facts['family'],
  version,
  codename,
  prettyName: `${distro} ${version}`,
  architecture: 'x86_64',
}))

/** Declares the suite for one target. `open` is called once; it is given a directory that the suite removes. */
export function testCloudTargetContract<Options, ProviderOptions, Credentials>(
  name: string,
  open: (directory: string) => Promise<CloudTargetUnderTest<Options, ProviderOptions, Credentials>>,
): void {
  type Subject = CloudTargetUnderTest<Options, ProviderOptions, Credentials>
  describe(`${name} keeps the contract of cloud targets`, { timeout: 300_000 }, () => {
    let subject: Subject
    let directory = ''
    before(async () => {
      directory = await mkdtemp(join(tmpdir(), 'ingot-target-'))
      subject = await open(directory)
    })
    after(async () => {
      await subject?.close?.()
      await rm(directory, { recursive: true, force: true })
    })

    it('says what it is and what it takes', () => {
      const { target, options } = subject
      for (const one of [target.name, ...(target.aliases ?? [])]) assert.match(one, /^[A-Za-z]\S*$/)
      assert.match(target.summary, /[^.]$/)
      checkSchema(target.options, 'its parameters')
      assert.deepEqual(findFaults(target.options, options), [])
      assert.equal(target.refuses?.(options), undefined)
      assert.equal(target.push === undefined, target.provider === undefined)
    })

    it('refuses what does not go, before anything is kept', () => {
      const { target, wrongOptions } = subject
      const passing = wrongOptions.filter((one) => findFaults(target.options, one).length === 0)
      for (const one of passing)
        assert.match(target.refuses?.(one as Options) ?? '', /\S/, JSON.stringify(one)) // its shape was just checked
      checkWrongOptions(
        target.options,
        wrongOptions.filter((one) => !passing.includes(one)),
      )
    })

    it('wants a format that there is, and puts a recipe without faults into guests of every kind', () => {
      const { target, options } = subject
      assert.ok(viewFormatOf(target.format(options)))
      for (const facts of GUESTS) {
        const recipe = target.fit?.(facts, options)
        if (recipe !== undefined) recipeOf(recipe)
      }
    })

    describePushing(
      () => subject,
      (file) => join(directory, file),
    )
  })
}

function describePushing<Options, ProviderOptions, Credentials>(
  subjectOf: () => CloudTargetUnderTest<Options, ProviderOptions, Credentials>,
  at: (file: string) => string,
): void {
  let disk: (PushedDisk & AsyncDisposable) | undefined
  let calls: readonly string[] = []
  before(async () => {
    await makeSparseDisk(at('disk.raw'), DISK_SIZE)
    disk = await openTestDisk(at('disk.raw'), at('.'))
  })
  after(async () => await disk?.[Symbol.asyncDispose]())

  const elsewhere = async () => (await subjectOf().listElsewhere?.()) ?? []
  const scene = () => {
    const { target, provider, ...rest } = subjectOf()
    const { push } = target
    return push && provider && { ...rest, target, provider, push: push.bind(target) }
  }
  type Scene = NonNullable<ReturnType<typeof scene>>
  const attempt = async ({ push, provider, options }: Scene, broken?: Break) => {
    const trace = new Trace(broken)
    const image = { type: 'provider', id: randomUUID(), provider: provider.name } as const
    const job = breakableJob(trace, { options, workDir: at('.'), image })
    const targetImage = factoryImage({ type: 'target', status: 'COMPLETE' })
    const pushed = push({ ...job, targetImage, provider, disk: breakableDisk(trace, disk!) }) // opened before all
    return { trace, image, ...(await endOf(pushed, trace)) }
  }
  const checkTold = (
    { target, provider, options, secrets = [] }: Scene,
    trace: Trace,
    error?: unknown,
  ) => {
    const masked = [
      ...secretsIn(target.options, options),
      ...secretsIn(target.provider?.options, provider.options),
      ...secretsIn(target.provider?.credentials, provider.credentials),
    ]
    checkSecrets(trace, secrets, { masked, error })
  }
  const remove = async ({ target, provider }: Scene, id: string, pushed: Pushed) => {
    const { identifier, account = null, properties = {} } = pushed
    const image = factoryImage({
      id,
      properties,
      status: 'COMPLETE',
      provider: provider.name,
      identifierOnProvider: identifier,
      providerAccount: account,
    })
    await target.remove?.(image, provider, { ...clearContext(), imageId: id })
  }

  it('pushes; removes what was pushed, alone and however often it is told to', async (t) => {
    const pushing = scene()
    if (!pushing) return t.skip('it does not push')
    const { target, provider } = pushing
    checkSchema(target.provider!.options, 'its definition of a provider') // there with push
    checkSchema(target.provider!.credentials, 'its credentials')
    assert.deepEqual(findFaults(target.provider!.options, provider.options), [])
    assert.deepEqual(findFaults(target.provider!.credentials, provider.credentials), [])
    const one = await attempt(pushing)
    if (one.error !== undefined) throw one.error
    calls = one.trace.calls
    checkPhases(one.trace)
    checkTold(pushing, one.trace)
    const alone = await elsewhere()
    const other = await attempt(pushing)
    assert.ok(one.result && other.result)
    assert.match(one.result.identifier, /\S/)
    assert.notEqual(one.result.identifier, other.result.identifier)
    await remove(pushing, other.image.id, other.result)
    assert.deepEqual(await elsewhere(), alone)
    for (const _ of ['once', 'again']) await remove(pushing, one.image.id, one.result)
    assert.deepEqual(await elsewhere(), [])
  })

  it('leaves nothing that is not held, wherever its job is cancelled, fails, or dies', async (t) => {
    const pushing = scene()
    if (!pushing) return t.skip('it does not push')
    const { target, provider } = pushing
    assert.ok(calls.length > 0, 'it tells of no phase')
    for (const way of WAYS)
      for (const [at, call] of calls.entries()) {
        const where = `${way} at ${call}`
        const { trace, image, error, isDead, over } = await attempt(pushing, { way, at })
        if (way === 'fail') assert.ok(error !== undefined, `${where}: it fails`)
        if (way === 'die') assert.ok(isDead, `${where}: it waits for the call`)
        checkTold(pushing, trace, error)
        const { held } = trace
        if (held.length > 0) assert.ok(target.clear, `${where}: what it holds it can clear away`)
        for (const time of held.length > 0 ? ['once', 'again'] : []) {
          const left = await target.clear?.(held, provider, {
            ...clearContext(),
            imageId: image.id,
          })
          assert.deepEqual(left, [], `${where}: cleared ${time}`)
        }
        assert.deepEqual(await elsewhere(), [], `${where}: nothing is left elsewhere`)
        trace.letGo()
        await over
      }
  })

  it('lives with things that it does not know', async () => {
    const { target, provider } = subjectOf()
    if (provider)
      for (const thing of [null, 'x', 7, [], {}, { kind: 'what nobody makes' }])
        await target.clear?.([thing], provider, clearContext())
  })
}
