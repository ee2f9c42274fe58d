/**
 * Pushing a disk of 10 GiB with 1 GiB of data to providers whose interface allows holes: how many bytes move, counted where
 * they arrive (servers of ours that keep nothing, and Azurite, which keeps all in memory), and how long that takes here.
 * `--size GIB --data MIB` choose a smaller disk; `--only NAME` one provider.
 */
import { mkdir, open } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import { ContainerClient, StorageSharedKeyCredential } from '@azure/storage-blob'
import { formatSize, GiB, MiB } from '../src/base/units.ts'
import type { PushedDisk } from '../src/factory/cloud-target.ts'
import { azureTarget } from '../src/factory/targets/azure.ts'
import { ec2Target } from '../src/factory/targets/ec2.ts'
import { ovirtTarget } from '../src/factory/targets/ovirt.ts'
import { openAzurite } from '../src/testing/azurite.ts'
import { noise } from '../src/testing/contract-tree.ts'
import { openFakeEc2 } from '../src/testing/fake-ec2.ts'
import { openFakeOvirt } from '../src/testing/fake-ovirt.ts'
import { pushJob } from '../src/testing/push-job.ts'
import { openTestDisk } from '../src/testing/pushed-disk.ts'
import { openPlace } from './place.ts'
import { type Bar, printBars, printHeading } from './report.ts'

/** Bytes of one run of data; the runs stand all over the disk. */
const RUN = 4 * MiB
/** More than the data, for what stands beside it in the same block. */
const MOST = 1.05

const { values } = parseArgs({
  options: {
    size: { type: 'string', default: '10' },
    data: { type: 'string', default: '1024' },
    only: { type: 'string' },
  },
})
const size = Number(values.size) * GiB
const data = Number(values.data) * MiB

/** Pushes the disk, and tells how many bytes arrived. */
const providers: Readonly<Record<string, (disk: PushedDisk) => Promise<number>>> = {
  ec2: async (disk) => {
    await using amazon = await openFakeEc2({ keeps: false })
    const { endpoint, region, accessKey, secretKey } = amazon
    const options = { region, ec2_endpoint: endpoint, ebs_endpoint: endpoint, poll_seconds: 0 }
    const credentials = { access_key: accessKey, secret_key: secretKey }
    const { job } = pushJob({
      disk,
      options: {},
      provider: { name: 'amazon', options, credentials },
    })
    await ec2Target.push?.(job)
    return amazon.received
  },
  ovirt: async (disk) => {
    await using ovirt = await openFakeOvirt({ keeps: false })
    const { url, username, password } = ovirt
    const options = { url, storage_domain: 'data', poll_seconds: 0 }
    const provider = { name: 'ovirt', options, credentials: { username, password } }
    const { job } = pushJob({ disk, options: { ovirt_result: 'disk' as const }, provider })
    await ovirtTarget.push?.(job)
    return ovirt.received.data
  },
  azure: async (disk) => {
    await using azurite = await openAzurite()
    const { endpoint, account, key } = azurite
    const shared = new StorageSharedKeyCredential(account, key)
    const container = new ContainerClient(`${endpoint}/vhds`, shared)
    await container.create()
    const options = {
      result: 'blob' as const,
      storage_account: account,
      container: 'vhds',
      blob_endpoint: endpoint,
    }
    const provider = { name: 'azure', options, credentials: { account_key: key } }
    const { job } = pushJob({ disk, options: { azure_name: 'bench' }, provider })
    await azureTarget.push?.(job)
    let kept = 0
    for (const { count } of (await container.getPageBlobClient('bench.vhd').getPageRanges())
      .pageRange ?? [])
      kept += Number(count) + 1 // up to the last byte, says the library
    return kept
  },
}

await using place = await openPlace()
printHeading('Pushing', `bench/push.ts --size ${values.size} --data ${values.data}`)
await makeDisk(place.at('disk.raw'))
await mkdir(place.at('views'))
await using disk = await openTestDisk(place.at('disk.raw'), place.at('views'))
const bars: Bar[] = []
for (const [name, push] of Object.entries(providers)) {
  if (values.only !== undefined && values.only !== name) continue
  const begin = performance.now()
  const moved = await push(disk)
  const seconds = (performance.now() - begin) / 1000
  bars.push({
    what: `bytes moved to ${name}`,
    wanted: `${formatSize(data * MOST)} of ${formatSize(size)}`,
    found: `${formatSize(moved)} in ${seconds.toFixed(1)} s`,
    met: moved <= data * MOST,
  })
}
process.exitCode = printBars(bars)

async function makeDisk(path: string): Promise<void> {
  await using file = await open(path, 'w')
  await file.truncate(size)
  const bytes = noise(RUN)
  const runs = data / RUN
  for (let run = 0; run < runs; run++) {
    const at = Math.floor((size * run) / runs / MiB) * MiB
    await file.write(bytes, 0, RUN, at)
  }
}
