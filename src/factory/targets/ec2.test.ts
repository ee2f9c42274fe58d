import assert from 'node:assert/strict'
import { after, suite, test } from 'node:test'
import { KiB, MiB } from '../../base/units.ts'
import { findFaults } from '../../schema/find-faults.ts'
import { failsWith } from '../../testing/fails-with.ts'
import { openFakeEc2 } from '../../testing/fake-ec2.ts'
import { openFakeS3 } from '../../testing/fake-s3.ts'
import { clearContext, pushJob } from '../../testing/push-job.ts'
import { factoryImage } from '../../testing/factory-image.ts'
import { bytesOfSource, openTestDisk } from '../../testing/pushed-disk.ts'
import { makeSparseDisk } from '../../testing/sparse-disk.ts'
import { tempDir } from '../../testing/temp-dir.ts'
import type { Ec2Options, Ec2ProviderOptions } from './_ec2-schemas.ts'
import { ec2Target } from './ec2.ts'

const at = await tempDir()
await makeSparseDisk(at('disk.raw'), 40 * MiB + 512)
const disk = await openTestDisk(at('disk.raw'), at('.'))
const s3 = await openFakeS3({ buckets: ['imports'], minPart: MiB })
const amazon = await openFakeEc2({ s3 })
after(async () => {
  for (const one of [amazon, s3, disk]) await one[Symbol.asyncDispose]()
})

/** S3 has keys of its own here, so pushes through it are made as its user, whom EC2 knows as well. */
const provider = (more: Partial<Ec2ProviderOptions> = {}) => ({
  name: 'amazon',
  options: {
    region: amazon.region,
    ec2_endpoint: amazon.endpoint,
    ebs_endpoint: amazon.endpoint,
    poll_seconds: 0,
    ...more,
  },
  credentials: { access_key: amazon.accessKey, secret_key: amazon.secretKey },
})
const target = ec2Target
const push = async (
  options: Ec2Options = {},
  more: Partial<Ec2ProviderOptions> = {},
  signal?: AbortSignal,
) => {
  const { job, written } = pushJob({
    disk,
    options,
    provider: provider(more),
    image: { id: crypto.randomUUID() },
    ...(signal && { signal }),
  })
  const pushed = await target.push!(job)
  return { job, written, pushed, snapshot: amazon.images.get(pushed.identifier)!.snapshot }
}
const bucket = { via: 's3', bucket: 'imports', s3_endpoint: s3.endpoint } as const

suite('the EC2 target', () => {
  test('writes the disk by blocks, and only those that hold something', async () => {
    const before = amazon.received
    const { pushed, written, snapshot } = await push()
    assert.equal(pushed.properties?.['snapshot_id'], snapshot)
    assert.ok(amazon.read(snapshot, disk.size).equals(await bytesOfSource(disk.source)))
    const { blocks } = amazon.snapshots.get(snapshot)!
    assert.equal(amazon.received - before, blocks.size * 512 * KiB)
    assert.ok(blocks.size < 12, `${blocks.size} of 81 blocks`)
    assert.equal(pushed.account, amazon.account)
    assert.deepEqual(
      written.percents,
      written.percents.toSorted((a, b) => a - b),
    )
    assert.equal(written.percents.at(-1), 100)
  })

  test('registers what was asked for, tagged and shared', async () => {
    const { pushed, job } = await push({
      ec2_name: 'web server',
      ec2_description: 'of a recipe',
      ec2_boot_mode: 'uefi',
      ec2_root_device: '/dev/sda1',
      ec2_volume_size: 9,
      ec2_tags: { stage: 'test' },
      ec2_launch_accounts: ['210987654321'],
      ec2_public: true,
    })
    const { registered, tags, launchers, snapshot } = amazon.images.get(pushed.identifier)!
    assert.deepEqual(Object.fromEntries(registered), {
      Action: 'RegisterImage',
      Version: '2016-11-15',
      Name: 'web server',
      Description: 'of a recipe',
      Architecture: 'x86_64',
      VirtualizationType: 'hvm',
      BootMode: 'uefi',
      EnaSupport: 'true',
      ImdsSupport: 'v2.0',
      RootDeviceName: '/dev/sda1',
      'BlockDeviceMapping.1.DeviceName': '/dev/sda1',
      'BlockDeviceMapping.1.Ebs.SnapshotId': snapshot,
      'BlockDeviceMapping.1.Ebs.DeleteOnTermination': 'true',
      'BlockDeviceMapping.1.Ebs.VolumeType': 'gp3',
      'BlockDeviceMapping.1.Ebs.VolumeSize': '9',
    })
    const wanted = { Name: 'web server', stage: 'test', 'ingot:image': job.image.id }
    assert.deepEqual(Object.fromEntries(tags), wanted)
    assert.deepEqual(Object.fromEntries(amazon.snapshots.get(snapshot)!.tags), wanted)
    assert.deepEqual(launchers, ['all', '210987654321'])
  })

  for (const [format, name] of [
    ['raw', 'RAW'],
    ['vhd', 'VHD'],
  ] as const)
    test(`imports a ${format} from a bucket, in which nothing stays`, async () => {
      const { written, snapshot: id } = await push({ ec2_format: format }, bucket)
      const sent = await disk.open(format)
      assert.ok(amazon.read(id, sent.size).equals(await bytesOfSource(sent)))
      const { token, tags } = amazon.snapshots.get(id)!
      assert.deepEqual([token, tags.has('ingot:image')], [name, true])
      assert.deepEqual([s3.objects('imports'), s3.uploads('imports')], [[], []])
      assert.ok(!written.held.some((thing) => JSON.stringify(thing).includes('object')))
    })

  test('removes an AMI with its snapshot, and does not mind that it is gone', async () => {
    const { pushed, snapshot } = await push()
    const image = factoryImage({ identifierOnProvider: pushed.identifier })
    await target.remove!(image, provider(), clearContext())
    assert.ok(!amazon.images.has(pushed.identifier))
    assert.ok(!amazon.snapshots.has(snapshot))
    await target.remove!(image, provider(), clearContext())
  })

  test('removes the snapshot of an AMI that is gone already', async () => {
    const { pushed, snapshot, job } = await push()
    amazon.trouble.refused['DeleteSnapshot'] = 'UnauthorizedOperation'
    const image = factoryImage({ id: job.image.id, identifierOnProvider: pushed.identifier })
    const remove = async () => await target.remove!(image, provider(), clearContext())
    await assert.rejects(remove, failsWith('CLOUD_DENIED'))
    delete amazon.trouble.refused['DeleteSnapshot']
    assert.ok(!amazon.images.has(pushed.identifier))
    await remove()
    assert.ok(!amazon.snapshots.has(snapshot))
  })

  test('knows the AMI that it registered when the answer was lost', async () => {
    amazon.trouble.lost.add('RegisterImage')
    const { pushed, job } = await push()
    const ours = [...amazon.images.values()].filter(
      ({ tags }) => tags.get('ingot:image') === job.image.id,
    )
    assert.deepEqual(
      ours.map(({ id }) => id),
      [pushed.identifier],
    )
  })

  test('boots 32 bits by BIOS, and encrypts when a key is named', async () => {
    const to = { kms_key: 'arn:aws:kms:us-east-1:123456789012:key/1' }
    const { pushed } = await push({ ec2_architecture: 'i386' }, to)
    assert.equal(amazon.images.get(pushed.identifier)?.registered.get('BootMode'), 'legacy-bios')
  })

  test('removes what it can of what is left, and tells of the rest', async () => {
    const { refused } = amazon.trouble
    const before = amazon.snapshots.size
    const { job, written } = pushJob({
      disk,
      options: {},
      provider: provider(),
      image: { id: crypto.randomUUID() },
    })
    for (const action of ['RegisterImage', 'DescribeImages']) refused[action] = 'AuthFailure'
    await assert.rejects(async () => await target.push!(job), failsWith('CLOUD_DENIED'))
    const told: string[] = []
    const buildLog = { ...clearContext().buildLog, event: (text: string) => void told.push(text) }
    const context = { ...clearContext(), buildLog, imageId: job.image.id }
    assert.deepEqual(await target.clear!(written.held, provider(), context), [{ kind: 'ami' }])
    for (const action of ['RegisterImage', 'DescribeImages']) delete refused[action]
    assert.match(told.join(), /AMI: AuthFailure/)
    assert.equal(amazon.snapshots.size, before)
  })

  const refusals = {
    'AMIs may not be registered': ['RegisterImage', 'UnauthorizedOperation', 'CLOUD_DENIED', {}],
    'there are too many imports': [
      'ImportSnapshot',
      'ResourceCountLimitExceeded',
      'CLOUD_FULL',
      bucket,
    ],
  } as const
  for (const [what, [action, refusal, code, more]] of Object.entries(refusals))
    test(`leaves nothing once it is cleared when ${what}`, async () => {
      const before = [amazon.images.size, amazon.snapshots.size]
      amazon.trouble.refused[action] = refusal
      const { job, written } = pushJob({
        disk,
        options: {},
        provider: provider(more),
        image: { id: crypto.randomUUID() },
      })
      await assert.rejects(async () => await target.push!(job), failsWith(code))
      delete amazon.trouble.refused[action]
      assert.ok(written.held.length > 0)
      const context = { ...clearContext(), imageId: job.image.id }
      assert.deepEqual(await target.clear!(written.held, provider(more), context), [])
      assert.deepEqual([amazon.images.size, amazon.snapshots.size], before)
      assert.deepEqual(s3.objects('imports'), [])
    })

  test('says what Amazon says of an import that fails, and clears it', async () => {
    amazon.trouble.badImport = true
    await assert.rejects(push({}, bucket), (error: Error) => /it is not a disk/.test(error.message))
    amazon.trouble.badImport = false
  })

  test('tries again when Amazon is busy', async () => {
    amazon.trouble.failNext = 3
    const { snapshot } = await push()
    assert.ok(amazon.read(snapshot, disk.size).equals(await bytesOfSource(disk.source)))
  })

  test('ends when it is interrupted', async () => {
    await assert.rejects(push({}, {}, AbortSignal.abort()), failsWith('INTERRUPTED'))
  })

  test('fails with CLOUD_DENIED for a wrong key, which it does not show', async () => {
    const wrong = {
      ...provider(),
      credentials: { access_key: amazon.accessKey, secret_key: 'guess' },
    }
    const { job, written } = pushJob({ disk, options: {}, provider: wrong })
    await assert.rejects(
      async () => await target.push!(job),
      (error) => {
        assert.ok(!`${JSON.stringify(error)}${String(error)}`.includes('guess'))
        return failsWith('CLOUD_DENIED')(error)
      },
    )
    assert.ok(!JSON.stringify(written).includes('guess'))
  })

  test('wants cloud-init, the drivers of Amazon and a console of a guest', () => {
    const facts = {
      distro: 'fedora',
      family: 'redhat',
      version: '40',
      codename: '',
      prettyName: '',
      architecture: 'x86_64',
    } as const
    const recipe = target.fit!(facts, {})
    assert.match(recipe ?? '', /cloud-init[\s\S]*\[ Ec2, None \][\s\S]*nvme ena[\s\S]*ttyS0/)
    assert.equal(target.fit!({ ...facts, family: undefined }, {}), undefined)
  })

  test('refuses parameters that it does not know', () => {
    assert.deepEqual(findFaults(target.options, { ec2_format: 'raw' }), [])
    assert.notDeepEqual(findFaults(target.options, { ec2_fromat: 'raw' }), [])
    assert.notDeepEqual(findFaults(target.provider!.options, {}), [])
  })
})
