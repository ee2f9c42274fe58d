/** A small OpenStack, with a builder on it and an image to begin with: for tests of builds on clouds. */
import { makeContext } from '../base/context.ts'
import { openOpenStack } from '../clouds/openstack/open-openstack.ts'
import { makeNovaBuilder } from '../factory/builders/nova.ts'
import type { NovaOptions } from '../factory/nova/nova-options.ts'
import type { ClearContext, OsBuilder } from '../factory/os-builder.ts'
import { addImage } from './_fake-glance.ts'
import {
  type FakeOpenStack,
  type FakeOpenStackOptions,
  openFakeOpenStack,
} from './fake-openstack.ts'

export interface NovaScene extends AsyncDisposable {
  readonly fake: FakeOpenStack
  readonly builder: OsBuilder<NovaOptions>
  /** How many clients were opened, and how many of them are closed. */
  readonly clients: { opened: number; closed: number }
  /** For `clear`; what it told is kept. */
  clearContext(more?: Partial<ClearContext>): ClearContext & { readonly told: string[] }
}

export async function openNovaScene(options: FakeOpenStackOptions = {}): Promise<NovaScene> {
  const fake = await openFakeOpenStack(options)
  const clients = { opened: 0, closed: 0 }
  const patience = { retries: 3, delayMs: 1 }
  const builder = makeNovaBuilder({
    openCloud: async (_name, context) => {
      clients.opened += 1
      const cloud = openOpenStack({ cloud: fake.cloud, patience }, context)
      const dispose = async () => {
        clients.closed += 1
        await cloud[Symbol.asyncDispose]()
      }
      return { ...cloud, [Symbol.asyncDispose]: dispose }
    },
  })
  const fields = { name: 'debian-12', disk_format: 'qcow2', hw_firmware_type: 'uefi' }
  addImage(fake.state, fields, 'active', Buffer.from('a system'))
  return {
    fake,
    builder,
    clients,
    clearContext: (more = {}) => {
      const told: string[] = []
      const buildLog = {
        event: (text: string) => void told.push(text),
        console: () => {},
        output: () => {},
      }
      return { ...makeContext(), buildLog, imageId: '', ...more, told }
    },
    [Symbol.asyncDispose]: async () => await fake[Symbol.asyncDispose](),
  }
}
