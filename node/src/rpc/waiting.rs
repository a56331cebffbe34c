//! Answers while the node waits to be let in to its chain: `getinitstatus` and `stop`, everything else is refused as
//! during any start.

use jsonrpsee::types::ErrorObjectOwned;
use jsonrpsee::{Methods, RpcModule};
use rota_api::control::{InitStatus, STOPPING};
use serde_json::Value;
use tokio::sync::watch;

use super::control::{VERSION, version_number};
use super::http::{self, Bound, FrontConfig, FrontError, Phase};

/// The front of a waiting node.
pub struct WaitingFront {
    bound: Bound,
    phase: watch::Sender<Phase>,
    shutdown: watch::Sender<bool>,
    status: watch::Sender<InitStatus>,
    stop: watch::Receiver<bool>,
    _methods: watch::Sender<Methods>,
}

impl WaitingFront {
    /// Begins to answer.
    ///
    /// # Errors
    /// [`FrontError`].
    pub async fn open(config: FrontConfig) -> Result<WaitingFront, FrontError> {
        let (status, statuses) = watch::channel(InitStatus::default());
        let (told, stop) = watch::channel(false);
        let module = module(statuses, told).map_err(|error| FrontError::Io(error.to_string()))?;
        let (methods, table) = watch::channel(module);
        let (phase, phases) = watch::channel(Phase::Starting("Waiting for permission to connect".to_owned()));
        let (shutdown, stopping) = watch::channel(false);
        let bound = http::serve(config, table, phases, stopping).await?;
        Ok(WaitingFront { bound, phase, shutdown, status, stop, _methods: methods })
    }

    /// Changes what `getinitstatus` tells.
    pub fn tell(&self, status: InitStatus) {
        let base = InitStatus { version: VERSION.to_owned(), nodeversion: version_number(), ..status };
        self.status.send_replace(base);
    }

    /// Waits until a caller says stop.
    pub async fn stopped(&mut self) {
        // The sender lives in the table of methods, which this front holds.
        let _ = self.stop.wait_for(|stop| *stop).await;
    }

    /// Stops answering and frees the port.
    pub async fn close(self) {
        self.phase.send_replace(Phase::Stopping);
        self.shutdown.send_replace(true);
        let _ = self.bound.task.await;
    }
}

fn module(
    status: watch::Receiver<InitStatus>,
    stop: watch::Sender<bool>,
) -> Result<Methods, jsonrpsee::core::RegisterMethodError> {
    let mut module = RpcModule::new(());
    module.register_method("getinitstatus", move |_, (), _| {
        serde_json::to_value(&*status.borrow())
            .map_err(|error| ErrorObjectOwned::owned(-32603, error.to_string(), None::<()>))
    })?;
    module.register_method("stop", move |_, (), _| {
        stop.send_replace(true);
        Value::from(STOPPING)
    })?;
    Ok(module.into())
}
