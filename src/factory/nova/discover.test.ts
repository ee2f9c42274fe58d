import assert from 'node:assert/strict'
import { it } from 'node:test'
import { makeContext } from '../../base/context.ts'
import { openOpenStack } from '../../clouds/openstack/open-openstack.ts'
import { openFakeOpenStack } from '../../testing/fake-openstack.ts'
import { makeNovaBuilder } from '../builders/nova.ts'

const IMAGE = '5c0a2a7e-6f0c-4b7b-9d4b-3f1f1e1d2c3b'

it('things of builds are looked for, and removed, in the cloud that is named', async () => {
  await using usual = await openFakeOpenStack()
  await using other = await openFakeOpenStack()
  const builder = makeNovaBuilder({
    openCloud: async (name, context) =>
      openOpenStack({ cloud: (name === 'other' ? other : usual).cloud }, context),
  })
  const keypair = `ingot-${IMAGE}-1-key`
  other.state.keypairs.set(keypair, 'ssh-ed25519 AAAA')
  const context = makeContext()
  assert.deepEqual(await builder.discover?.(context), [])
  const found = (await builder.discover?.({ ...context, cloud: 'other' })) ?? []
  const thing = { kind: 'keypair', cloud: 'other', imageId: IMAGE, name: keypair, id: keypair }
  assert.deepEqual(found, [{ imageId: IMAGE, thing }])
  const buildLog = { event: () => {}, console: () => {}, output: () => {} }
  assert.deepEqual(await builder.clear?.([thing], { ...context, buildLog, imageId: IMAGE }), [])
  assert.deepEqual(other.leftovers(), [])
})
