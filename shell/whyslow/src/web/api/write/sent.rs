//! Requests as a sender would write them, by an encoder that is not ours.

use prost::Message;

/// Labels, and samples with their times in milliseconds.
pub(crate) type Sent<'a> = (&'a [(&'a str, &'a str)], &'a [(i64, f64)]);

/// The protocol buffers of a request with these series.
pub(crate) fn request(series: &[Sent<'_>]) -> Vec<u8> {
    let label = |(n, v): &(&str, &str)| Label { name: (*n).into(), value: (*v).into() };
    let sample = |(timestamp, value): &(i64, f64)| Sample { value: *value, timestamp: *timestamp };
    let timeseries = series.iter().map(|(labels, samples)| TimeSeries {
        labels: labels.iter().map(label).collect(),
        samples: samples.iter().map(sample).collect(),
    });
    WriteRequest { timeseries: timeseries.collect() }.encode_to_vec()
}

#[derive(Clone, PartialEq, Message)]
struct WriteRequest {
    #[prost(message, repeated, tag = "1")]
    timeseries: Vec<TimeSeries>,
}

#[derive(Clone, PartialEq, Message)]
struct TimeSeries {
    #[prost(message, repeated, tag = "1")]
    labels: Vec<Label>,
    #[prost(message, repeated, tag = "2")]
    samples: Vec<Sample>,
}

#[derive(Clone, PartialEq, Message)]
struct Label {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    value: String,
}

#[derive(Clone, PartialEq, Message)]
struct Sample {
    #[prost(double, tag = "1")]
    value: f64,
    #[prost(int64, tag = "2")]
    timestamp: i64,
}
