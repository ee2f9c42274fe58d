/** Neutron's wire. Source: the Networking API v2.0 reference. */
import { isFailure } from '../../base/failure.ts'
import { ask, askOnceOnly, askToDelete, type Asking } from './_ask.ts'
import { asWire, listOf, textOf, textOr, type Wire } from './_fields.ts'
import { askPages } from './_pages.ts'
import type { FloatingIp, Network, NetworkService, Port, SecurityGroup } from './network.ts'

type Query = Readonly<Record<string, string | undefined>>

export function openNetwork(asking: Asking): NetworkService {
  const list = async (kind: string, query: Query = {}): Promise<readonly Wire[]> => {
    const path = `/v2.0/${kind.replaceAll('_', '-')}`
    return await askPages(asking, { path, query }, kind)
  }
  const post = async (kind: string, fields: object): Promise<Wire> => {
    const path = `/v2.0/${kind.replaceAll('_', '-')}s`
    const { json } = await ask(asking, { method: 'POST', path, json: { [kind]: fields } })
    return asWire(asWire(json, kind)[kind], kind)
  }
  /** Makes one, or finds the one that was made, by what only it has. */
  const make = async (kind: string, fields: object, marks: Query): Promise<Wire> =>
    await askOnceOnly(
      asking,
      async () => await post(kind, fields),
      async () => (await list(`${kind}s`, marks))[0],
    )
  const drop = async (path: string, id: string) =>
    await askToDelete(asking, `/v2.0/${path}/${encodeURIComponent(id)}`)

  return {
    listNetworks: async () => (await list('networks')).map(toNetwork),
    listSecurityGroups: async () => (await list('security_groups')).map(toSecurityGroup),
    listPorts: async (description) => (await list('ports', { description })).map(toPort),
    listFloatingIps: async (description) =>
      (await list('floatingips', { description })).map(toFloatingIp),
    createPort: async ({ name, networkId, securityGroupIds, mark: description }) => {
      const groups = securityGroupIds && { security_groups: securityGroupIds }
      const fields = { name, network_id: networkId, description, ...groups }
      return toPort(await make('port', fields, { name, description }))
    },
    createSecurityGroup: async (name, description) => {
      const fields = { name, description }
      return toSecurityGroup(await make('security_group', fields, fields))
    },
    createFloatingIp: async ({ networkId, portId, mark: description }) => {
      const fields = { floating_network_id: networkId, port_id: portId, description }
      return toFloatingIp(await make('floatingip', fields, { description, port_id: portId }))
    },
    allowTcp: async (securityGroupId, port) => {
      for (const ethertype of ['IPv4', 'IPv6'])
        try {
          const json = {
            security_group_rule: {
              security_group_id: securityGroupId,
              direction: 'ingress',
              protocol: 'tcp',
              port_range_min: port,
              port_range_max: port,
              ethertype,
            },
          }
          const path = '/v2.0/security-group-rules'
          await ask(asking, { method: 'POST', path, json, repeatable: true })
        } catch (error) {
          if (!(isFailure(error) && error.details['status'] === 409)) throw error
        }
    },
    deletePort: async (id) => await drop('ports', id),
    deleteSecurityGroup: async (id) => await drop('security-groups', id),
    deleteFloatingIp: async (id) => await drop('floatingips', id),
  }
}

function toNetwork(wire: Wire): Network {
  return {
    id: textOf(wire, 'id'),
    name: textOr(wire, 'name', ''),
    isExternal: wire['router:external'] === true,
    isShared: wire['shared'] === true,
  }
}

function toPort(wire: Wire): Port {
  const addresses = wire['fixed_ips'] ?? []
  return {
    id: textOf(wire, 'id'),
    name: textOr(wire, 'name', ''),
    networkId: textOf(wire, 'network_id'),
    description: textOr(wire, 'description', ''),
    addresses: listOf(addresses, 'addresses').map((one) => textOf(one, 'ip_address')),
  }
}

function toSecurityGroup(wire: Wire): SecurityGroup {
  return {
    id: textOf(wire, 'id'),
    name: textOr(wire, 'name', ''),
    description: textOr(wire, 'description', ''),
  }
}

function toFloatingIp(wire: Wire): FloatingIp {
  return {
    id: textOf(wire, 'id'),
    address: textOf(wire, 'floating_ip_address'),
    description: textOr(wire, 'description', ''),
    portId: textOr(wire, 'port_id', null),
  }
}
