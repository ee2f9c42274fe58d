/** The network service (Neutron, v2.0) as far as a server is reached by it. What we make carries `mark` in its description. */

export interface Network {
  readonly id: string
  readonly name: string
  /** Floating addresses come from it. */
  readonly isExternal: boolean
  readonly isShared: boolean
}

export interface Port {
  readonly id: string
  readonly name: string
  readonly networkId: string
  readonly description: string
  readonly addresses: readonly string[]
}

export interface SecurityGroup {
  readonly id: string
  readonly name: string
  readonly description: string
}

export interface FloatingIp {
  readonly id: string
  readonly address: string
  readonly description: string
  readonly portId: string | null
}

export interface NetworkService {
  listNetworks(): Promise<readonly Network[]>
  listSecurityGroups(): Promise<readonly SecurityGroup[]>
  /** Each of these finds the one that a lost answer told of, by its name or mark. */
  createPort(port: {
    readonly name: string
    readonly networkId: string
    readonly securityGroupIds?: readonly string[]
    readonly mark: string
  }): Promise<Port>
  createSecurityGroup(name: string, mark: string): Promise<SecurityGroup>
  createFloatingIp(given: {
    readonly networkId: string
    readonly portId: string
    readonly mark: string
  }): Promise<FloatingIp>
  /** Lets this TCP port in, from everywhere, IPv4 and IPv6; no error if it is let in already. */
  allowTcp(securityGroupId: string, port: number): Promise<void>
  listPorts(mark?: string): Promise<readonly Port[]>
  listFloatingIps(mark?: string): Promise<readonly FloatingIp[]>
  /** Each: false if it was gone already. */
  deletePort(id: string): Promise<boolean>
  deleteSecurityGroup(id: string): Promise<boolean>
  deleteFloatingIp(id: string): Promise<boolean>
}
