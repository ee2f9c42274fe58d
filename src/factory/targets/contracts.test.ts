/** Targets that push over a network keep the contract, against servers of ours that see what is left. */
import { openFakeEc2 } from '../../testing/fake-ec2.ts'
import { openFakeGoogle } from '../../testing/fake-gce.ts'
import { openFakeOvirt } from '../../testing/fake-ovirt.ts'
import { testCloudTargetContract } from '../../testing/cloud-target-contract.ts'
import { openTestServer } from '../../testing/test-service.ts'
import { ec2Target } from './ec2.ts'
import { gceTarget } from './gce.ts'
import { openstackTarget } from './openstack.ts'
import { ovaTarget } from './ova.ts'
import { ovirtTarget } from './ovirt.ts'

testCloudTargetContract('openstack', async () => {
  const glance = await openTestServer()
  return {
    target: openstackTarget,
    options: { openstack_image_format: 'raw' as const },
    wrongOptions: [{ openstack_image_format: 'vdi' }, { more: 1 }],
    provider: {
      name: 'here',
      options: { image_endpoint: glance.url, poll_seconds: 0 },
      credentials: { token: 'admin' },
    },
    listElsewhere: async () => {
      const { json } = await glance.ask('GET /v2/images')
      return json.images.map(({ id }: { id: string }) => id).toSorted()
    },
    close: async () => await glance[Symbol.asyncDispose](),
  }
})

testCloudTargetContract('ec2', async () => {
  const amazon = await openFakeEc2()
  return {
    target: ec2Target,
    options: {},
    wrongOptions: [{ ec2_boot_mode: 'tape' }, { more: 1 }],
    provider: {
      name: 'amazon',
      options: {
        region: amazon.region,
        ec2_endpoint: amazon.endpoint,
        ebs_endpoint: amazon.endpoint,
        poll_seconds: 0,
      },
      credentials: { access_key: amazon.accessKey, secret_key: amazon.secretKey },
    },
    secrets: [amazon.secretKey],
    listElsewhere: async () => [...amazon.images.keys(), ...amazon.snapshots.keys()],
    close: async () => await amazon[Symbol.asyncDispose](),
  }
})

testCloudTargetContract('gce', async () => {
  const google = await openFakeGoogle()
  return {
    target: gceTarget,
    options: {},
    wrongOptions: [{ gce_image_name: 'Not A Name' }, { more: 1 }],
    provider: {
      name: 'google',
      options: {
        bucket: google.bucket,
        storage_endpoint: google.endpoint,
        compute_endpoint: google.endpoint,
        poll_seconds: 0,
      },
      credentials: google.credentials,
    },
    secrets: [google.credentials.private_key],
    listElsewhere: async () => [...google.images.keys(), ...google.objects.keys()],
    close: async () => await google[Symbol.asyncDispose](),
  }
})

testCloudTargetContract('ovirt', async () => {
  const ovirt = await openFakeOvirt()
  return {
    target: ovirtTarget,
    options: {},
    wrongOptions: [{ ovirt_result: 'poem' }, { more: 1 }],
    provider: {
      name: 'ovirt',
      options: { url: ovirt.url, storage_domain: 'data', poll_seconds: 0 },
      credentials: { username: ovirt.username, password: ovirt.password },
    },
    secrets: [ovirt.password],
    listElsewhere: async () =>
      Object.entries(ovirt.things).flatMap(([kind, things]) =>
        ['disks', 'templates', 'vms'].includes(kind) ? [...things.keys()] : [],
      ),
    close: async () => await ovirt[Symbol.asyncDispose](),
  }
})

testCloudTargetContract('ova', async () => ({
  target: ovaTarget,
  options: { ova_form: 'vagrant-libvirt' as const },
  wrongOptions: [{ ova_form: 'xen' }, { more: 1 }],
}))
