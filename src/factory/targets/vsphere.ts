import { Failure } from '../../base/failure.ts'
import type { CloudHttp } from '../../clouds/cloud-http.ts'
import { type ManagedThing, Vsphere } from '../../clouds/vsphere.ts'
import type { Facts } from '../../remotes/facts.ts'
import type { Json } from '../../tasks/task.ts'
import { defineCloudTarget, type Pushed, type PushJob } from '../cloud-target.ts'
import type { ClearContext } from '../os-builder.ts'
import { clearEach, fieldsOf } from './_clear-each.ts'
import { cloudFit } from './_cloud-fit.ts'
import { descriptorOf } from './_vsphere-descriptor.ts'
import { importMachine, removeMachine } from './_vsphere-import.ts'
import { createItem, fillItem, findItems, openLibrary, removeItem } from './_vsphere-library.ts'
import {
  type VsphereCredentials,
  vsphereCredentialsSchema,
  type VsphereOptions,
  vsphereOptionsSchema,
  type VsphereProviderOptions,
  vsphereProviderSchema,
} from './_vsphere-schemas.ts'
import { openConnection, type VsphereProvider } from './_vsphere-upload.ts'

type VsphereJob = PushJob<VsphereOptions, VsphereProviderOptions, VsphereCredentials>

/** A machine or template by an import lease, or an item of a content library. */
export const vsphereTarget = defineCloudTarget<
  VsphereOptions,
  VsphereProviderOptions,
  VsphereCredentials
>({
  name: 'vsphere',
  summary: 'VMware vSphere: a template, a virtual machine, or an item of a content library',
  options: vsphereOptionsSchema,
  provider: { options: vsphereProviderSchema, credentials: vsphereCredentialsSchema },
  fit: fitForVsphere,
  format: () => 'vmdk-stream',
  push: async (job) => {
    await using http = await openConnection(job.provider)
    return job.provider.options.result === 'library'
      ? await pushItem(job, http)
      : await pushMachine(job, http)
  },
  remove: async ({ identifierOnProvider: id }, provider, { signal }) => {
    await using http = await openConnection(provider)
    if (id !== null) await removeThing(http, provider, id, signal)
  },
  clear: async (things, provider, context) => {
    await using http = await openConnection(provider)
    return await clearEach(things, context, async (thing) => {
      for (const id of await idsOf(http, provider, thing, context))
        await removeThing(http, provider, id, context.signal)
    })
  },
})

/** Source: VMware, "Best practices for templates": the tools tell addresses and take orders. */
function fitForVsphere(facts: Facts): string | undefined {
  const tools = ['open-vm-tools']
  return cloudFit(facts, {
    cloud: 'vsphere',
    datasources: ['VMware', 'OVF', 'None'],
    packages: { debian: tools, redhat: tools, suse: tools },
    drivers: ['vmw_pvscsi', 'vmxnet3'],
  })
}

async function pushMachine(job: VsphereJob, http: CloudHttp): Promise<Pushed> {
  const { provider, context } = job
  await using vsphere = await Vsphere.open(http, accountOf(provider), context.signal)
  const name = nameOf(job)
  // Until its id is known there is nothing to clear: vSphere removes what a lease made that has ended.
  const noted = await job.holdings.add({ kind: 'machine' })
  const onMade = async ({ id }: ManagedThing) =>
    await noted.update({ kind: 'machine', id: `machine:${id}` })
  const machine = await job.phase(
    { name: 'importing the machine', from: 1, to: 95 },
    async (scene) => {
      const { disk, descriptor } = await openMachine(job, name)
      return await importMachine(
        { http, vsphere },
        provider,
        { name, descriptor, disk, onMade },
        scene,
      )
    },
  )
  if (provider.options.result !== 'vm')
    await vsphere.call('MarkAsTemplate', machine, '', context.signal)
  job.log.event(`${provider.options.result ?? 'template'} ${name} (${machine.id})`)
  const account = provider.credentials.username
  return { identifier: `machine:${machine.id}`, account, properties: { vsphere_name: name } }
}

async function pushItem(job: VsphereJob, http: CloudHttp): Promise<Pushed> {
  const { provider, image } = job
  const { library: wanted, poll_seconds = 3 } = provider.options
  if (wanted === undefined)
    throw new Failure('CONFIG_INVALID', `${provider.name}: library is missing`)
  const name = nameOf(job)
  const noted = await job.holdings.add({ kind: 'item', library: wanted, name })
  const item = await job.phase({ name: 'filling the library', from: 1, to: 100 }, async (scene) => {
    const library = await openLibrary(http, provider, scene.signal)
    const of = { library: wanted, name, description: image.id }
    const id = await createItem(library, of, scene.signal)
    await noted.update({ kind: 'item', library: wanted, name, id: `item:${id}` })
    await fillItem(library, id, await openMachine(job, name), poll_seconds, scene)
    return id
  })
  job.log.event(`item ${name} of ${wanted}`)
  const account = provider.credentials.username
  return { identifier: `item:${item}`, account, properties: { vsphere_name: name } }
}

async function openMachine({ disk, options }: VsphereJob, name: string) {
  const vmdk = await disk.open('vmdk-stream')
  const descriptor = descriptorOf({ name, options, size: disk.size, fileSize: vmdk.size })
  return { disk: vmdk, descriptor }
}

/** `machine:vm-12` or `item:UUID`. */
async function removeThing(
  http: CloudHttp,
  provider: VsphereProvider,
  identifier: string,
  signal: AbortSignal,
): Promise<void> {
  const [, kind, id = ''] = /^(machine|item):([A-Za-z0-9:-]{1,100})$/.exec(identifier) ?? []
  if (kind === 'item') await removeItem(await openLibrary(http, provider, signal), id, signal)
  if (kind !== 'machine') return
  await using vsphere = await Vsphere.open(http, accountOf(provider), signal)
  await removeMachine(vsphere, provider, { type: 'VirtualMachine', id }, signal)
}

function accountOf({ options: { url }, credentials }: VsphereProvider) {
  return { ...credentials, url: url.replace(/\/+$/, '') }
}

/** By its id; an item of which only the beginning was noted, by its name and whose it says to be. */
async function idsOf(
  http: CloudHttp,
  provider: VsphereProvider,
  thing: Json,
  { imageId: description, signal }: Pick<ClearContext, 'imageId' | 'signal'>,
): Promise<readonly string[]> {
  const { kind, id, library, name } = fieldsOf(thing)
  if (typeof id === 'string') return [id]
  if (kind !== 'item' || typeof library !== 'string' || typeof name !== 'string') return []
  const opened = await openLibrary(http, provider, signal)
  const found = await findItems(opened, { library, name, description }, signal)
  return found.map((item) => `item:${item}`)
}

function nameOf({ options, template, image }: VsphereJob): string {
  const plain = template.name.replaceAll(/[^A-Za-z0-9_. -]/g, '-').slice(0, 60)
  return options.vsphere_name ?? `${plain}-${image.id.slice(0, 8)}`
}
