//! How to connect, in rumqttc's terms.

use std::sync::Arc;
use std::time::Duration;

use rumqttc::v5::MqttOptions;
use rumqttc::v5::mqttbytes::v5::ConnectProperties;
use rumqttc::{NetworkOptions, TlsConfiguration, Transport as Carrier};
use rustls::crypto::ring::default_provider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use crate::error::{ConnectError, TlsError};
use crate::options::InboxOptions;
use crate::url::{Endpoint, Login, Transport};

/// rumqttc takes no shorter Keep Alive.
const KEEP_ALIVE_MIN: Duration = Duration::from_secs(5);
const KEEP_ALIVE_MAX: Duration = Duration::from_secs(u16::MAX as u64);

/// How to connect.
#[derive(Clone)]
pub(crate) struct Settings {
    endpoint: Endpoint,
    tls: Option<Arc<ClientConfig>>,
    login: Option<Login>,
    client_id: String,
    connect_timeout: Duration,
    packet_bytes_max: u32,
    pub(super) in_flight_max: u16,
    pub(super) window: u16,
    /// Of the next connection.
    pub(crate) keep_alive: Duration,
}

impl Settings {
    pub(crate) fn new(options: &InboxOptions) -> Result<Self, ConnectError> {
        let endpoint = Endpoint::parse(&options.url)?;
        let needs_tls = matches!(endpoint.transport, Transport::Tls | Transport::WebSocketTls);
        let tls = match needs_tls {
            true => Some(Arc::new(tls(options.authority_pem.as_deref())?)),
            false => None,
        };
        let login = options.login.clone().map(|(user, password)| Login { user, password });
        Ok(Settings {
            login: login.or_else(|| endpoint.login.clone()),
            endpoint,
            tls,
            client_id: options.client_id.clone(),
            connect_timeout: options.connect_timeout,
            packet_bytes_max: options.limits.packet_bytes_max,
            in_flight_max: options.limits.in_flight_max,
            window: options.limits.window.max(1),
            keep_alive: options.heartbeat.first,
        })
    }

    pub(super) fn for_rumqttc(&self, in_flight: u16) -> MqttOptions {
        let Endpoint {
            transport,
            host,
            port,
            path,
            ..
        } = &self.endpoint;
        let address = match transport {
            Transport::Tcp | Transport::Tls => host.clone(),
            Transport::WebSocket => format!("ws://{host}:{port}{path}"),
            Transport::WebSocketTls => format!("wss://{host}:{port}{path}"),
        };
        let mut options = MqttOptions::new(&self.client_id, address, *port);
        let tls = self.tls.clone().map(TlsConfiguration::Rustls);
        let carrier = match (transport, tls) {
            (Transport::Tls, Some(tls)) => Carrier::Tls(tls),
            (Transport::WebSocketTls, Some(tls)) => Carrier::Wss(tls),
            (Transport::WebSocket, _) => Carrier::Ws,
            _ => Carrier::Tcp,
        };
        let seconds = self.connect_timeout.as_secs().max(1);
        let mut network = NetworkOptions::new();
        network.set_tcp_nodelay(true);
        network.set_connection_timeout(seconds);
        options
            .set_transport(carrier)
            // Mail belongs to the client ID, not to the session (contract, "Reading").
            .set_clean_start(true)
            .set_manual_acks(true)
            .set_outgoing_inflight_upper_limit(in_flight)
            .set_connection_timeout(seconds)
            .set_keep_alive(self.keep_alive.clamp(KEEP_ALIVE_MIN, KEEP_ALIVE_MAX))
            .set_network_options(network)
            .set_connect_properties(ConnectProperties {
                session_expiry_interval: None,
                receive_maximum: Some(self.window),
                max_packet_size: Some(self.packet_bytes_max),
                topic_alias_max: None,
                request_response_info: None,
                request_problem_info: Some(1),
                user_properties: Vec::new(),
                authentication_method: None,
                authentication_data: None,
            });
        if let Some(Login { user, password }) = &self.login {
            options.set_credentials(user, password);
        }
        options
    }
}

/// With ring, whatever else the program may have chosen for itself.
fn tls(authority_pem: Option<&[u8]>) -> Result<ClientConfig, TlsError> {
    let mut roots = RootCertStore::empty();
    match authority_pem {
        Some(pem) => {
            let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
            roots.add_parsable_certificates(certificates.map_err(|_| TlsError::NoCertificate)?);
            if roots.is_empty() {
                return Err(TlsError::NoCertificate);
            }
        }
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            if roots.is_empty() {
                return Err(TlsError::NoRoots);
            }
        }
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()));
    let builder = builder
        .with_safe_default_protocol_versions()
        .map_err(|_| TlsError::Versions)?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}
